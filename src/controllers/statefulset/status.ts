import { isPodAvailable, isPodReady, podCondition } from '../../api/pods.ts';
import type { Pod, StatefulSet } from '../../api/types.ts';
import { withoutZeros } from '../without-zeros.ts';
import { isGoing, type Revisions, revisionLabel } from './plan.ts';

type Status = NonNullable<StatefulSet['status']>;

/** Pure. `pods` are those that exist, surplus ones included. */
export function statefulSetStatus(
  set: StatefulSet,
  pods: readonly Pod[],
  seen: { revisions: Revisions; collisionCount: number; now: number },
): Status {
  const { revisions, now } = seen;
  const minReadySeconds = set.spec?.minReadySeconds ?? 0;
  const count = (test: (pod: Pod) => boolean) => pods.filter(test).length;
  const ofRevision = (name: string) => count((p) => !isGoing(p) && revisionLabel(p) === name);
  const status: Status = {
    observedGeneration: set.metadata.generation ?? 0,
    replicas: pods.length,
    readyReplicas: count(isPodReady),
    availableReplicas: count((pod) => isPodAvailable(pod, minReadySeconds, now)),
    currentReplicas: ofRevision(revisions.current),
    updatedReplicas: ofRevision(revisions.update),
    currentRevision: revisions.current,
    updateRevision: revisions.update,
    collisionCount: seen.collisionCount,
    ...(set.status?.conditions ? { conditions: set.status.conditions } : {}),
  };
  return withoutZeros(completed(set, status), ['replicas', 'collisionCount', 'availableReplicas']);
}

/** When every Pod is of the new revision and ready, the new revision becomes the current one. */
function completed(set: StatefulSet, status: Status): Status {
  const { type = 'RollingUpdate' } = set.spec?.updateStrategy ?? {};
  const { updatedReplicas = 0, updateRevision = '', replicas, readyReplicas } = status;
  const done = updatedReplicas === replicas && readyReplicas === replicas;
  if (type !== 'RollingUpdate' || !done) return status;
  return { ...status, currentReplicas: updatedReplicas, currentRevision: updateRevision };
}

/** Milliseconds until a ready Pod becomes available; undefined: nothing to wait for. */
export function nextAvailability(set: StatefulSet, pods: readonly Pod[], now: number) {
  const wait = (set.spec?.minReadySeconds ?? 0) * 1000;
  if (wait === 0) return undefined;
  const times = pods
    .filter((pod) => isPodReady(pod))
    .map((pod) => Date.parse(podCondition(pod, 'Ready')?.lastTransitionTime ?? '') + wait - now)
    .filter((left) => left > 0);
  return times.length === 0 ? undefined : Math.min(...times);
}
