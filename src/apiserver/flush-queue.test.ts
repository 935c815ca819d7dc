import { describe, expect, it } from 'vitest';
import { FakeClock } from '../util/clock.fake.ts';
import { FlushQueue } from './flush-queue.ts';

/** Streams that count how often they are flushed. */
function streams(count: number) {
  return Array.from({ length: count }, () => ({
    flushes: 0,
    flush() {
      this.flushes++;
    },
  }));
}

/** Lets the event loop go round until everything that may be flushed now has been. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise(setImmediate);
}

const counts = (all: readonly { flushes: number }[]): number[] => [
  ...new Set(all.map(({ flushes }) => flushes)),
];

describe('FlushQueue', () => {
  it('flushes some in each turn of the event loop', async () => {
    const queue = new FlushQueue(new FakeClock());
    const all = streams(120);
    for (const stream of all) queue.add(stream);
    const perTurn: number[] = [];
    while (perTurn.length < 3) {
      await new Promise(setImmediate);
      perTurn.push(all.filter(({ flushes }) => flushes > 0).length);
    }
    expect(perTurn).toEqual([50, 100, 120]);
  });

  it('flushes a few as often as they ask', async () => {
    const queue = new FlushQueue(new FakeClock());
    const few = streams(50);
    for (let i = 0; i < 3; i++) {
      for (const stream of few) queue.add(stream);
      await settle();
    }
    expect(counts(few)).toEqual([3]);
  });

  it('gathers what comes for very many, while others are flushed at once', async () => {
    const clock = new FakeClock();
    const queue = new FlushQueue(clock);
    const many = streams(1000);
    const addAll = (): void => {
      for (const stream of many) queue.add(stream);
    };
    addAll();
    await settle();
    expect(counts(many)).toEqual([1]);
    for (let i = 0; i < 3; i++) {
      addAll();
      await settle();
    }
    const [other] = streams(1);
    if (other) queue.add(other);
    await settle();
    expect([counts(many), other?.flushes]).toEqual([[1], 1]);
    await clock.advance(29);
    await settle();
    expect(counts(many)).toEqual([1]);
    await clock.advance(2);
    await settle();
    expect(counts(many)).toEqual([2]);
    // Nothing came meanwhile: the next event is not held back.
    await clock.advance(1000);
    addAll();
    await settle();
    expect(counts(many)).toEqual([3]);
  });

  it('holds nothing back for longer than 50 ms, however many there are', async () => {
    const clock = new FakeClock();
    const queue = new FlushQueue(clock);
    const many = streams(5000);
    const addAll = async (): Promise<void> => {
      for (const stream of many) queue.add(stream);
      for (let i = 0; i < 3; i++) await settle();
    };
    await addAll();
    await addAll();
    expect(counts(many)).toEqual([1]);
    await clock.advance(50);
    for (let i = 0; i < 3; i++) await settle();
    expect(counts(many)).toEqual([2]);
  });

  it('does not rest for long when the clock is put back', async () => {
    const clock = new FakeClock();
    const queue = new FlushQueue({ ...clockOf(clock), now: () => clock.now() - offset });
    let offset = 0;
    const many = streams(1000);
    for (const stream of many) queue.add(stream);
    await new Promise(setImmediate);
    offset = 3_600_000;
    await settle();
    for (const stream of many) queue.add(stream);
    await clock.advance(30);
    await settle();
    expect(counts(many)).toEqual([2]);
  });
});

function clockOf(clock: FakeClock) {
  return {
    now: () => clock.now(),
    sleep: (ms: number, signal?: AbortSignal) => clock.sleep(ms, signal),
    after: (ms: number, fn: () => void) => clock.after(ms, fn),
  };
}
