import { isPodAvailable, isPodReady, isPodTerminal, podCondition } from '../../api/pods.ts';
import { timeString } from '../../api/times.ts';
import type { Pod, ReplicaSet } from '../../api/types.ts';
import { errorMessage } from '../../util/errors.ts';
import { withoutZeros } from '../without-zeros.ts';

type Status = NonNullable<ReplicaSet['status']>;
type Condition = NonNullable<Status['conditions']>[number];

/** What a sync found and did. */
export interface Observed {
  /** Neither finished nor going. */
  readonly active: readonly Pod[];
  readonly terminating: readonly Pod[];
  readonly failure: unknown;
  readonly now: number;
}

/** The status that these Pods make. Pure. */
export function replicaSetStatus(rs: ReplicaSet, observed: Observed): Status {
  const { active, terminating, now } = observed;
  const minReadySeconds = rs.spec?.minReadySeconds ?? 0;
  const wanted = Object.entries(rs.spec?.template?.metadata?.labels ?? {});
  const labelled = (pod: Pod) => wanted.every(([k, v]) => pod.metadata.labels?.[k] === v);
  const count = (test: (pod: Pod) => boolean) => active.filter(test).length;
  const status: Status = {
    replicas: active.length,
    fullyLabeledReplicas: count(labelled),
    readyReplicas: count(isPodReady),
    availableReplicas: count((pod) => isPodAvailable(pod, minReadySeconds, now)),
    observedGeneration: rs.metadata.generation ?? 0,
  };
  if (rs.kind === 'ReplicaSet') status.terminatingReplicas = terminating.length;
  return withoutZeros({ ...status, conditions: conditionsOf(rs, observed) }, [
    'replicas',
    'terminatingReplicas',
  ]);
}

function conditionsOf(rs: ReplicaSet, { failure, active, now }: Observed): Condition[] {
  const known = rs.status?.conditions ?? [];
  const others = known.filter((c) => c.type !== 'ReplicaFailure');
  if (failure === undefined) return others;
  const current = known.find((c) => c.type === 'ReplicaFailure');
  if (current) return known; // upstream keeps the first failure until it is over
  const reason = active.length < (rs.spec?.replicas ?? 1) ? 'FailedCreate' : 'FailedDelete';
  const lastTransitionTime = timeString(now);
  const message = errorMessage(failure);
  return [
    ...others,
    { type: 'ReplicaFailure', status: 'True', reason, message, lastTransitionTime },
  ];
}

/** Milliseconds until the next ready Pod has been ready for long enough; undefined: nothing to wait for. */
export function nextAvailabilityMs(
  pods: readonly Pod[],
  minReadySeconds: number,
  now: number,
): number | undefined {
  if (minReadySeconds === 0) return undefined;
  const waits = pods
    .filter((pod) => isPodReady(pod) && !isPodAvailable(pod, minReadySeconds, now))
    .map((pod) => Date.parse(podCondition(pod, 'Ready')?.lastTransitionTime ?? '') - now)
    .filter((wait) => !Number.isNaN(wait));
  if (waits.length === 0) return undefined;
  return Math.max(0, Math.min(...waits) + minReadySeconds * 1000);
}

/** Being deleted, its containers not yet gone. */
export function isTerminating(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined && !isPodTerminal(pod);
}
