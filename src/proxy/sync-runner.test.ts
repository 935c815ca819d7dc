import { describe, expect, it } from 'vitest';
import { FakeClock } from '../util/clock.fake.ts';
import { SyncRunner } from './sync-runner.ts';

function start(job: () => Promise<void> = async () => {}) {
  const clock = new FakeClock(0);
  const runs: number[] = [];
  const stop = new AbortController();
  const runner = new SyncRunner(
    async () => {
      runs.push(clock.now());
      await job();
    },
    clock,
    { minIntervalMs: 100, maxIntervalMs: 30_000 },
  );
  const done = runner.run(stop.signal);
  const end = () => {
    stop.abort();
    return done;
  };
  return { clock, runs, runner, stop: end };
}

describe('SyncRunner', () => {
  it('runs at once when asked after a quiet time', async () => {
    const { clock, runs, runner, stop } = start();
    await clock.advance(5_000);
    runner.request();
    await clock.advance(0);
    expect(runs).toEqual([5_000]);
    await stop();
  });

  it('makes one run of a burst, no sooner than the least interval after the last', async () => {
    const { clock, runs, runner, stop } = start();
    runner.request();
    await clock.advance(0);
    await clock.advance(10);
    for (let i = 0; i < 50; i++) runner.request();
    await clock.advance(500);
    expect(runs).toEqual([0, 100]);
    await stop();
  });

  it('runs by itself after the longest interval', async () => {
    const { clock, runs, stop } = start();
    await clock.advance(30_000);
    expect(runs).toEqual([30_000]);
    await stop();
  });

  it('never overlaps, and runs again for what was asked meanwhile', async () => {
    let release: () => void = () => {};
    const { clock, runs, runner, stop } = start(
      () => new Promise<void>((resolve) => (release = resolve)),
    );
    runner.request();
    await clock.advance(0);
    await clock.advance(1_000);
    runner.request();
    await clock.advance(1_000);
    expect(runs).toEqual([0]);
    release();
    await clock.advance(0);
    expect(runs).toEqual([0, 2_000]);
    release();
    await stop();
  });
});
