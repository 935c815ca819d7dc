import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../util/clock.fake.ts';
import { FairQueue, handOf, type Rejection } from './fair-queue.ts';

const NEVER = new AbortController().signal;
const QUEUING = { queues: 64, handSize: 6, queueLengthLimit: 50 };

/** One request: its turn comes when `started` says so. */
async function ask(level: FairQueue, flow: string, signal = NEVER) {
  const release = await level.acquire({ flow, schema: 's' }, signal);
  return release;
}

const reason = (outcome: Promise<unknown>): Promise<Rejection | 'admitted'> =>
  outcome.then(
    () => 'admitted' as const,
    (err) => err.reason,
  );

describe('FairQueue', () => {
  it('gives several seats to who needs them, and all of them to who needs more', async () => {
    const queuing = { queues: 1, handSize: 1, queueLengthLimit: 50 };
    const level = new FairQueue({ seats: 4, queuing }, new FakeClock());
    const of = (flow: string, width: number) => ({ flow, schema: 's', width });
    const wide = await level.acquire(of('a', 3), NEVER);
    const narrow = await level.acquire(of('b', 1), NEVER);
    expect(level.seatsInUse).toBe(4);
    const huge = level.acquire(of('c', 9), NEVER);
    wide();
    // Its turn, but not its room: nobody runs past it either.
    const late = level.acquire(of('d', 1), NEVER);
    expect([level.executing, level.waiting]).toEqual([1, 2]);
    narrow();
    const release = await huge;
    expect([level.executing, level.seatsInUse, level.waiting]).toEqual([1, 9, 1]);
    release();
    (await late)();
    expect([level.executing, level.seatsInUse, level.waiting]).toEqual([0, 0, 0]);
    expect(level.demand.take().high).toBe(13);
  });

  it('keeps seats for a while for what a request has set off', async () => {
    const clock = new FakeClock();
    const level = new FairQueue({ seats: 3, queuing: QUEUING }, clock);
    const after = { seats: 2, milliseconds: 20 };
    const release = await level.acquire({ flow: 'a', schema: 's', width: 3, after }, NEVER);
    expect(level.seatsInUse).toBe(3);
    release();
    expect([level.executing, level.seatsInUse]).toEqual([0, 2]);
    const first = await ask(level, 'b');
    const second = ask(level, 'b');
    expect([level.executing, level.waiting]).toEqual([1, 1]);
    await clock.advance(20);
    (await second)();
    first();
    expect([level.executing, level.seatsInUse, level.waiting]).toEqual([0, 0, 0]);
  });

  it('gives out its seats, and rejects the rest where nobody may wait', async () => {
    const level = new FairQueue({ seats: 2 }, new FakeClock());
    const first = await ask(level, 'a');
    await ask(level, 'a');
    expect(await reason(ask(level, 'a'))).toBe('concurrency-limit');
    first();
    expect(await reason(ask(level, 'a'))).toBe('admitted');
  });

  it('serves the few requests of one flow before the many that another sent earlier', async () => {
    const clock = new FakeClock();
    const level = new FairQueue({ seats: 1, queuing: QUEUING }, clock);
    const running = await ask(level, 'flood');
    const served: string[] = [];
    const enqueue = (flow: string) =>
      ask(level, flow).then(async (release) => {
        served.push(flow);
        await clock.advance(10);
        release();
      });
    const all = [
      ...Array.from({ length: 100 }, () => enqueue('flood')),
      ...Array.from({ length: 3 }, () => enqueue('modest')),
    ];
    running();
    await Promise.all(all);
    const lastModest = served.lastIndexOf('modest');
    // The flood fills a hand of six queues: the modest flow has a turn in seven.
    expect(lastModest).toBeLessThan(4 * 7);
  });

  it('turns away a flow whose queues are full, and nobody else', async () => {
    const level = new FairQueue(
      { seats: 1, queuing: { queues: 64, handSize: 2, queueLengthLimit: 5 } },
      new FakeClock(),
    );
    await ask(level, 'flood');
    const outcomes = Array.from({ length: 12 }, () => reason(ask(level, 'flood')));
    expect(await Promise.all(outcomes.slice(10))).toEqual(['queue-full', 'queue-full']);
    const before = level.waiting;
    void reason(ask(level, 'modest'));
    expect(level.waiting).toBe(before + 1);
    expect(level.counts.rejected).toBe(2);
  });

  it('lets nobody wait for ever, and forgets those who leave', async () => {
    const clock = new FakeClock();
    const level = new FairQueue({ seats: 1, queuing: QUEUING }, clock);
    await ask(level, 'a');
    const late = reason(ask(level, 'a'));
    const leaving = new AbortController();
    const left = reason(ask(level, 'a', leaving.signal));
    leaving.abort();
    expect(await left).toBe('cancelled');
    await clock.advance(15_000);
    expect(await late).toBe('time-out');
    expect(level.waiting).toBe(0);
  });

  it('gives a seat back once, however often it is told', async () => {
    const level = new FairQueue({ seats: 1 }, new FakeClock());
    const release = await ask(level, 'a');
    release();
    release();
    expect(level.executing).toBe(0);
  });

  it('admits those who wait when it gets more seats', async () => {
    const level = new FairQueue({ seats: 1, queuing: QUEUING }, new FakeClock());
    await ask(level, 'a');
    const waiting = ask(level, 'a');
    level.limits = { seats: 2, queuing: QUEUING };
    await waiting;
    expect(level.executing).toBe(2);
  });
});

describe('handOf', () => {
  it('deals different cards, always the same, and spreads flows', () => {
    const uses = new Array<number>(64).fill(0);
    for (let i = 0; i < 1000; i++) {
      const hand = handOf(`user-${i}`, 64, 6);
      expect(new Set(hand).size).toBe(6);
      expect(hand.every((card) => card >= 0 && card < 64)).toBe(true);
      expect(handOf(`user-${i}`, 64, 6)).toEqual(hand);
      for (const card of hand) uses[card] = (uses[card] ?? 0) + 1;
    }
    expect(Math.min(...uses)).toBeGreaterThan(40);
  });
});
