import { describe, expect, it } from 'vitest';
import { PodLifecycle } from './pod-lifecycle.ts';
import { newPodState } from './pod-state.ts';
import { podWith } from './pods.fake.ts';

describe('PodLifecycle.terminate', () => {
  /** Of a pod that no source names any more: nobody waits for its status. */
  function terminated(stop: AbortController) {
    const events: string[] = [];
    const deps = {
      probes: { stopLiveness: () => {} },
      sync: {
        terminate: async () => {
          throw new Error('container is in starting state');
        },
      },
      recorder: {
        event: (_pod: object, ...told: string[]) => void events.push(told.join(' ')),
      },
    };
    const lifecycle = new PodLifecycle(deps as never);
    const state = { ...newPodState(podWith()), removed: true };
    return { events, ending: lifecycle.terminate(state, stop.signal) };
  }

  it('says why the pod cannot be ended, and leaves it to be tried again', async () => {
    const { events, ending } = terminated(new AbortController());
    await expect(ending).rejects.toThrow('starting state');
    expect(events).toEqual([
      'Warning FailedKillPod error killing pod: container is in starting state',
    ]);
  });

  it('says nothing where it was told to begin anew', async () => {
    const stop = new AbortController();
    const { events, ending } = terminated(stop);
    stop.abort(new Error('less time'));
    await expect(ending).rejects.toThrow('less time');
    expect(events).toEqual([]);
  });
});
