import { describe, expect, it } from 'vitest';
import { type Logind, shutdownIn } from '../host/logind.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { silent } from '../util/log.ts';
import { NodeShutdown } from './node-shutdown.ts';
import type { Failure } from './pod-state.ts';
import { podWith } from './pods.fake.ts';

/** A logind of which the test shuts the machine down. */
class FakeLogind implements Logind {
  delay = 5000;
  locks = 0;
  released = 0;
  readonly #events: boolean[] = [];
  #wake: () => void = () => {};

  async longestDelay() {
    return this.delay;
  }
  async setLongestDelay(ms: number) {
    this.delay = ms;
  }
  delayShutdown() {
    this.locks++;
    return () => void this.released++;
  }
  say(begins: boolean) {
    this.#events.push(begins);
    this.#wake();
  }
  async *shutdowns(signal: AbortSignal) {
    while (!signal.aborted) {
      const next = this.#events.shift();
      if (next === undefined) {
        await new Promise<void>((done) => {
          this.#wake = done;
          signal.addEventListener('abort', () => done(), { once: true });
        });
      } else yield next;
    }
  }
}

function world(told: () => Promise<void> = () => Promise.resolve()) {
  const logind = new FakeLogind();
  const clock = new FakeClock();
  const ended: [uid: string, gracePeriod: number | undefined][] = [];
  const over = new Set<string>();
  const pods = [
    podWith({ terminationGracePeriodSeconds: 60 }, { uid: 'slow' }),
    podWith({ terminationGracePeriodSeconds: 1 }, { uid: 'quick' }),
    podWith({ priority: 2_000_000_000, terminationGracePeriodSeconds: 60 }, { uid: 'critical' }),
  ];
  const shutdown = new NodeShutdown(
    {
      logind,
      clock,
      log: silent,
      pods: () => pods,
      end: (uid: string, { gracePeriod }: Failure) => void ended.push([uid, gracePeriod]),
      isOver: (uid) => over.has(uid),
      told,
      onChange: () => {},
    },
    { totalMs: 30_000, criticalMs: 10_000 },
  );
  const stop = new AbortController();
  const running = shutdown.run(stop.signal);
  const end = async (): Promise<void> => {
    stop.abort();
    await running;
  };
  return { logind, clock, ended, over, shutdown, end };
}

describe('NodeShutdown', () => {
  it('ends ordinary pods, then critical ones, and lets the machine go when all are over', async () => {
    const { logind, clock, ended, over, shutdown, end } = world();
    logind.say(true);
    await clock.advance(0);
    expect(ended).toEqual([
      ['slow', 20],
      ['quick', 1],
    ]);
    expect(shutdown.problems).toEqual(['node is shutting down']);
    expect(shutdown.refusal()?.reason).toBe('NodeShutdown');
    over.add('slow').add('quick');
    await clock.advance(250);
    expect(ended[2]).toEqual(['critical', 10]);
    expect(logind.released).toBe(0);
    over.add('critical');
    await clock.advance(250);
    expect(logind.released).toBe(1);
    await end();
  });

  it('lets the machine go when the ends are told, or nobody is there to be told', async () => {
    const { logind, clock, over, end } = world(() => new Promise(() => {}));
    over.add('slow').add('quick').add('critical');
    logind.say(true);
    await clock.advance(0);
    await clock.advance(1999);
    expect(logind.released).toBe(0);
    await clock.advance(1);
    expect(logind.released).toBe(1);
    await end();
  });

  it('waits for no pod longer than it may', async () => {
    const { logind, clock, ended, end } = world();
    logind.say(true);
    await clock.advance(0);
    await clock.advance(20_000);
    expect(ended).toHaveLength(3);
    await clock.advance(10_000);
    expect(logind.released).toBe(1);
    await end();
  });

  it('takes pods again when the shutdown is called off', async () => {
    const { logind, clock, over, shutdown, end } = world();
    over.add('slow').add('quick').add('critical');
    logind.say(true);
    await clock.advance(500);
    logind.say(false);
    await clock.advance(500);
    expect(shutdown.refusal()).toBeUndefined();
    expect(logind.locks).toBe(2);
    await end();
  });

  it('asks for more time where the machine gives too little', async () => {
    const { logind, shutdown, end } = world();
    await shutdown.check();
    expect(logind.delay).toBe(30_000);
    await end();
  });

  it('is refused by name where there is no logind', async () => {
    const { logind, shutdown, end } = world();
    logind.longestDelay = () => Promise.reject(new Error('no bus'));
    await expect(shutdown.check()).rejects.toThrow(
      'shutdownGracePeriod: no systemd-logind can be asked to delay a shutdown: no bus',
    );
    await end();
  });
});

describe('shutdownIn', () => {
  it.each([
    [
      '{"type":"signal","path":"/org/freedesktop/login1","member":"PrepareForShutdown","payload":{"type":"b","data":[true]}}',
      true,
    ],
    [
      '{"type":"signal","member":"PrepareForShutdown","payload":{"type":"b","data":[false]}}',
      false,
    ],
    ['{"type":"signal","member":"NameOwnerChanged","payload":{"type":"sss","data":[]}}', undefined],
    ['Monitoring bus message stream.', undefined],
  ])('%s', (line, begins) => {
    expect(shutdownIn(line)).toBe(begins);
  });
});
