import { describe, expect, it } from 'vitest';
import { FakeClock } from '../util/clock.fake.ts';
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

describe('PodLifecycle.tellSoon', () => {
  /** Of a pod with a new sandbox, which is told of a moment later, unless there is more to tell by then. */
  function told({ isRush }: { isRush: boolean }) {
    const clock = new FakeClock();
    const phases: (string | undefined)[] = [];
    const deps = {
      clock,
      rush: { isOn: isRush },
      pleg: { get: () => ({ sandboxes: [], containers: [] }) },
      probes: { isReady: () => false, isStarted: () => false },
      status: {
        get: () => ({}),
        set: (_pod: object, { phase }: { phase?: string }) => void phases.push(phase),
      },
      allocations: { actuatedOf: () => undefined, actuatedOfPod: () => undefined },
      resizer: { stateOf: () => ({}) },
      hostIps: () => ['192.0.2.1'],
      runtimeName: () => 'containerd',
    };
    const lifecycle = new PodLifecycle(deps as never);
    const state = newPodState(podWith());
    lifecycle.tellSoon(state);
    return { clock, phases, lifecycle, state };
  }

  it.each([
    ['a second', false, 1000],
    ['two seconds while many are started', true, 2000],
  ])('tells after %s, once', async (_, isRush, ms) => {
    const { clock, phases, lifecycle, state } = told({ isRush });
    await clock.advance(ms - 1);
    lifecycle.tellSoon(state);
    expect(phases).toEqual([]);
    await clock.advance(1);
    expect(phases).toEqual(['Pending']);
    await clock.advance(10_000);
    expect(phases).toHaveLength(1);
  });

  it('leaves it to what is told before', async () => {
    const { clock, phases, lifecycle, state } = told({ isRush: true });
    await clock.advance(1500);
    lifecycle.tell(state);
    await clock.advance(10_000);
    expect(phases).toHaveLength(1);
  });

  it('tells nothing of a pod that nobody waits for any more', async () => {
    const { clock, phases, state } = told({ isRush: false });
    state.removed = true;
    await clock.advance(10_000);
    expect(phases).toEqual([]);
  });
});
