import type { EventRecorder } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import { gracePeriodOf } from './names.ts';
import type { Failure } from './pod-state.ts';
import type { PodWorkers } from './pod-workers.ts';

// What the runtime gets to kill what has not ended by itself.
const MINIMUM_MS = 10_000;
const REASON = 'ExceededGracePeriod';
const MESSAGE = 'Container runtime did not kill the pod within specified grace period.';

export interface EndDeps {
  readonly workers: Pick<PodWorkers, 'fail' | 'get' | 'isCleared'>;
  readonly recorder: EventRecorder;
  readonly clock: Clock;
}

/** Ends a pod. Where that is for the node's sake, the pod's events tell when it takes much longer than it may. */
export function endInTime({ workers, recorder, clock }: EndDeps, uid: string, why: Failure): void {
  const state = workers.get(uid);
  const isFirst = state?.failure === undefined;
  workers.fail(uid, why);
  const isForTheNode = why.disruption !== undefined || why.gracePeriod !== undefined;
  if (!state || !isFirst || !isForTheNode) return;
  const grace = why.gracePeriod ?? gracePeriodOf(state.pod);
  clock.after(Math.max(MINIMUM_MS, grace * 1500), () => {
    if (!workers.isCleared(uid)) recorder.event(state.pod, 'Warning', REASON, MESSAGE);
  });
}
