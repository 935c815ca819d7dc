import { describe, expect, it } from 'vitest';
import { PODS } from '../api/resource-types.ts';
import { FakeClient } from '../client/client.fake.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { silent } from '../util/log.ts';
import { PodLifecycle } from './pod-lifecycle.ts';
import { newPodState } from './pod-state.ts';
import { podWith } from './pods.fake.ts';
import { StatusManager } from './status-manager.ts';

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
    const client = new FakeClient();
    const [pod] = client.seed(PODS, podWith());
    if (!pod) throw new Error('not seeded');
    const clock = new FakeClock();
    const mirrorOf = () => undefined;
    const status = new StatusManager({ client, clock, log: silent, mirrorOf, onDeleted: () => {} });
    const rush = { isOn: isRush };
    const deps = {
      ...{ clock, status, rush },
      pleg: { get: () => ({ sandboxes: [], containers: [] }) },
      probes: { isReady: () => false, isStarted: () => false, follow: () => {} },
      allocations: { actuatedOf: () => undefined, actuatedOfPod: () => undefined },
      resizer: { stateOf: () => ({}), consider: () => {} },
      admission: { refusal: () => undefined },
      devices: { wants: () => false },
      sync: { sync: () => Promise.withResolvers().promise },
      hostIps: () => ['192.0.2.1'],
      runtimeName: () => 'containerd',
    };
    const lifecycle = new PodLifecycle(deps as never);
    return { client, clock, rush, status, lifecycle, state: newPodState(pod) };
  }

  it.each([
    ['a second', false, 1000],
    ['three seconds while many are started', true, 3000],
  ])('tells after %s, once', async (_, isRush, ms) => {
    const { client, clock, lifecycle, state } = told({ isRush });
    lifecycle.tellSoon(state);
    await clock.advance(ms - 1);
    lifecycle.tellSoon(state);
    expect(client.log).toEqual([]);
    await clock.advance(1);
    expect(client.log).toEqual(['patch pods/status default/web']);
    await clock.advance(10_000);
    expect(client.log).toHaveLength(1);
  });

  it('leaves it to what is told before', async () => {
    const { client, clock, lifecycle, state } = told({ isRush: true });
    lifecycle.tellSoon(state);
    await clock.advance(1500);
    lifecycle.tell(state);
    await clock.advance(10_000);
    expect(client.log).toHaveLength(1);
  });

  it('tells before the kubelet ends', async () => {
    const { client, status, lifecycle, state } = told({ isRush: true });
    lifecycle.tellSoon(state);
    await status.flush();
    expect(client.log).toHaveLength(1);
  });

  it('tells nothing of a pod that nobody waits for any more', async () => {
    const { client, clock, status, lifecycle, state } = told({ isRush: false });
    lifecycle.tellSoon(state);
    status.forget(state.uid);
    await clock.advance(10_000);
    expect(client.log).toEqual([]);
  });

  it.each([
    ['a tenth of a second later', false, 1],
    ['in a moment while many are started, with the time at which it came', true, 0],
  ])('acknowledges a new pod %s', async (_, isRush, times) => {
    const { client, clock, status, lifecycle, state } = told({ isRush });
    void lifecycle.sync(state, new AbortController().signal); // which does not end here
    await clock.advance(99);
    expect(client.log).toEqual([]);
    await clock.advance(1);
    expect(client.log).toHaveLength(times);
    const { startTime } = status.get(state.pod);
    expect(startTime).toBeDefined();
    await clock.advance(2900);
    expect(client.log).toHaveLength(1);
    expect(client.all(PODS)[0]?.status?.startTime).toBe(startTime);
  });

  it('acknowledges later where many are started by the time at which it would', async () => {
    const { client, clock, rush, lifecycle, state } = told({ isRush: false });
    void lifecycle.sync(state, new AbortController().signal); // which does not end here
    rush.isOn = true;
    await clock.advance(2999);
    expect(client.log).toEqual([]);
    await clock.advance(1);
    expect(client.log).toHaveLength(1);
  });
});
