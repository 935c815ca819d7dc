import { expect, it } from 'vitest';
import { FakeEvents } from '../client/events.fake.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { endInTime } from './end-in-time.ts';
import { type Failure, newPodState } from './pod-state.ts';
import { podWith } from './pods.fake.ts';

/** A pod that is ended twice for the same reason, as it may be; what its events tell after as many seconds. */
async function eventsAfter(seconds: number, why: Failure, cleared = false): Promise<string[]> {
  const state = newPodState(podWith({ terminationGracePeriodSeconds: 60 }));
  const [clock, recorder] = [new FakeClock(), new FakeEvents()];
  const workers = {
    fail: (_uid: string, failure: Failure) => {
      state.failure = failure;
    },
    get: () => state,
    isCleared: () => cleared,
  };
  for (let times = 0; times < 2; times++) endInTime({ workers, recorder, clock }, state.uid, why);
  await clock.advance(seconds * 1000);
  return recorder.lines;
}

const LATE = [
  expect.stringMatching(
    /^Warning ExceededGracePeriod .*: Container runtime did not kill the pod within specified grace period\.$/,
  ),
];
const EVICTED = { reason: 'Evicted', message: 'm', gracePeriod: 1, disruption: false };

it.each<[string, Failure, number]>([
  ['evicted', EVICTED, 10],
  ['preempted', { reason: 'Preempting', message: 'm', disruption: true }, 90],
  ['shut down', { reason: 'Terminated', message: 'm', gracePeriod: 20 }, 30],
])('tells of a pod that is %s and had half as long again as it may', async (_, why, seconds) => {
  expect(await eventsAfter(seconds - 1, why)).toEqual([]);
  expect(await eventsAfter(seconds, why)).toEqual(LATE);
});

it('tells nothing of a pod that has ended in time, nor of one that ends for its own sake', async () => {
  expect(await eventsAfter(600, EVICTED, true)).toEqual([]);
  expect(await eventsAfter(600, { reason: 'DeadlineExceeded', message: 'm' })).toEqual([]);
});
