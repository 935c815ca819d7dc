import { describe, expect, it } from 'vitest';
import type { Pod } from '../api/types.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { silent } from '../util/log.ts';
import type { PodState } from './pod-state.ts';
import { PodWorkers } from './pod-workers.ts';
import { podWith } from './pods.fake.ts';

/** Workers whose pods take as long to end as the test wants. */
function workersOf() {
  const calls: string[] = [];
  const ended = Promise.withResolvers<void>();
  const note = (what: string) => async (): Promise<void> => void calls.push(what);
  const stages = {
    sync: async () => {
      calls.push('sync');
      return { over: false, retryMs: undefined };
    },
    terminate: async () => {
      calls.push('terminate');
      await ended.promise;
    },
    finish: note('finish'),
    release: note('release'),
    tell: (state: PodState) => calls.push(`tell ${state.pod.metadata.name}`),
  };
  const workers = new PodWorkers({
    stages,
    clock: new FakeClock(),
    log: silent,
    onGone: () => calls.push('gone'),
  });
  return { calls, workers, end: ended.resolve };
}

const deleted = (pod: Pod): Pod => ({
  ...pod,
  metadata: { ...pod.metadata, deletionTimestamp: '2026-01-01T00:01:00Z' },
});

describe('PodWorkers', () => {
  it('tells what probes find of a pod that takes its time to end', async () => {
    const { calls, workers, end } = workersOf();
    workers.update(podWith());
    workers.probed('uid-1');
    await expect.poll(() => calls).toEqual(['sync', 'sync']);
    workers.update(deleted(podWith()));
    await expect.poll(() => calls.at(-1)).toBe('terminate');
    workers.probed('uid-1');
    expect(calls.at(-1)).toBe('tell web');
    end();
    await expect.poll(() => calls.at(-1)).toBe('release');
    workers.remove('uid-1');
    await expect.poll(() => calls.at(-1)).toBe('gone');
  });

  it.each(['Failed', 'Succeeded'])('ends a pod that somebody else called %s', async (phase) => {
    const { calls, workers, end } = workersOf();
    end();
    workers.update(podWith());
    await expect.poll(() => calls).toEqual(['sync']);
    workers.update({ ...podWith(), status: { phase } });
    await expect.poll(() => calls).toEqual(['sync', 'terminate', 'finish']);
    expect(workers.active()).toEqual([]);
  });
});
