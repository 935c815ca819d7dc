import { timeString } from '../../api/times.ts';
import type { Deployment, ReplicaSet } from '../../api/types.ts';
import { withoutZeros } from '../without-zeros.ts';
import { maxUnavailable, sizeOf, sumOf, wishedReplicas } from './bounds.ts';

export type Status = NonNullable<Deployment['status']>;
export type Condition = NonNullable<Status['conditions']>[number];

/** kubectl writes this when a Deployment has no deadline. */
const NO_DEADLINE = 2 ** 31 - 1;

export interface Rollout {
  readonly newest: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];
  readonly now: number;
}

/** The whole status that the ReplicaSets make, conditions included (syncRolloutStatus). Pure. */
export function rolloutStatus(deployment: Deployment, rollout: Rollout): Status {
  const status = countsOf(deployment, rollout);
  const conditions = new Conditions(status.conditions ?? [], rollout.now);
  if (!hasDeadline(deployment)) conditions.remove('Progressing');
  const current = conditions.get('Progressing');
  const settled =
    status.replicas === status.updatedReplicas && current?.reason === 'NewReplicaSetAvailable';
  if (hasDeadline(deployment) && !settled) {
    progress(deployment, { status, conditions, newest: rollout.newest, now: rollout.now });
  }
  const failure = replicaFailure(rollout);
  if (failure) conditions.set(failure);
  else conditions.remove('ReplicaFailure');
  return { ...status, conditions: conditions.list };
}

/** Counts and the Available condition only, for Deployments that are paused, scaling or going (calculateStatus). */
export function countsOf(deployment: Deployment, { newest, old, now }: Rollout): Status {
  const all = newest ? [...old, newest] : old;
  const available = sumOf(all, (rs) => rs.status?.availableReplicas ?? 0);
  const { collisionCount, conditions: known = [] } = deployment.status ?? {};
  const conditions = new Conditions(known, now);
  const enough = available >= wishedReplicas(deployment) - maxUnavailable(deployment);
  conditions.set(
    enough
      ? condition(
          'Available',
          'True',
          'MinimumReplicasAvailable',
          'Deployment has minimum availability.',
        )
      : condition(
          'Available',
          'False',
          'MinimumReplicasUnavailable',
          'Deployment does not have minimum availability.',
        ),
  );
  const status: Status = {
    observedGeneration: deployment.metadata.generation ?? 0,
    replicas: sumOf(all, (rs) => rs.status?.replicas ?? 0),
    updatedReplicas: newest?.status?.replicas ?? 0,
    readyReplicas: sumOf(all, (rs) => rs.status?.readyReplicas ?? 0),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sumOf(all, sizeOf) - available),
    terminatingReplicas: sumOf(all, (rs) => rs.status?.terminatingReplicas ?? 0),
    ...(collisionCount === undefined ? {} : { collisionCount }),
    conditions: conditions.list,
  };
  return withoutZeros(status, ['terminatingReplicas', 'collisionCount']);
}

/** Everything is new, there, available, and seen (DeploymentComplete). */
export function isComplete(deployment: Deployment, status: Status): boolean {
  const wished = wishedReplicas(deployment);
  return (
    (status.updatedReplicas ?? 0) === wished &&
    (status.replicas ?? 0) === wished &&
    (status.availableReplicas ?? 0) === wished &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

export function hasDeadline(deployment: Deployment): boolean {
  return (deployment.spec?.progressDeadlineSeconds ?? NO_DEADLINE) !== NO_DEADLINE;
}

/** Milliseconds until a rollout that stands still counts as failed; undefined: nothing to wait for. */
export function msToDeadline(
  deployment: Deployment,
  status: Status,
  now: number,
): number | undefined {
  const current = status.conditions?.find((c) => c.type === 'Progressing');
  if (!current || !hasDeadline(deployment) || isComplete(deployment, status)) return undefined;
  if (current.reason === 'ProgressDeadlineExceeded') return undefined;
  // One second more: lastUpdateTime has whole seconds.
  return Math.max(1000, deadlineOf(deployment, current) + 1000 - now);
}

/** The Progressing condition of a Deployment that was paused or resumed since; undefined: as it should be. */
export function pauseCondition(deployment: Deployment, now: number): Condition[] | undefined {
  if (!hasDeadline(deployment)) return undefined;
  const known = deployment.status?.conditions ?? [];
  const current = known.find((c) => c.type === 'Progressing');
  if (current?.reason === 'ProgressDeadlineExceeded') return undefined; // tell of the failure first
  const paused = deployment.spec?.paused === true;
  const told = current?.reason === 'DeploymentPaused';
  if (paused === told) return undefined;
  return withCondition(
    known,
    paused
      ? condition('Progressing', 'Unknown', 'DeploymentPaused', 'Deployment is paused')
      : condition('Progressing', 'Unknown', 'DeploymentResumed', 'Deployment is resumed'),
    now,
  );
}

/** `conditions` with one set; unchanged when type, status and reason are there already. */
export function withCondition(
  conditions: readonly Condition[],
  wanted: Condition,
  now: number,
): Condition[] {
  const changed = new Conditions(conditions, now);
  changed.set(wanted);
  return changed.list;
}

export function condition(
  type: string,
  status: 'True' | 'False' | 'Unknown',
  reason: string,
  message: string,
): Condition {
  return { type, status, reason, message };
}

function progress(
  deployment: Deployment,
  seen: { status: Status; conditions: Conditions; newest: ReplicaSet | undefined; now: number },
): void {
  const { status, conditions, newest, now } = seen;
  const who = newest
    ? `ReplicaSet "${newest.metadata.name}"`
    : `Deployment "${deployment.metadata.name}"`;
  const set = (value: 'True' | 'False', reason: string, text: string) =>
    conditions.set(condition('Progressing', value, reason, `${who} ${text}`));
  if (isComplete(deployment, status)) {
    set('True', 'NewReplicaSetAvailable', 'has successfully progressed.');
  } else if (madeProgress(deployment.status ?? {}, status)) {
    conditions.touch(
      condition('Progressing', 'True', 'ReplicaSetUpdated', `${who} is progressing.`),
    );
  } else if (timedOut(deployment, conditions.get('Progressing'), now)) {
    set('False', 'ProgressDeadlineExceeded', 'has timed out progressing.');
  }
}

function madeProgress(before: Status, after: Status): boolean {
  const old = (s: Status) => (s.replicas ?? 0) - (s.updatedReplicas ?? 0);
  return (
    (after.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    old(after) < old(before) ||
    (after.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (after.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  );
}

function timedOut(deployment: Deployment, current: Condition | undefined, now: number): boolean {
  if (!current || current.reason === 'NewReplicaSetAvailable') return false;
  if (current.reason === 'ProgressDeadlineExceeded') return true;
  return deadlineOf(deployment, current) < now;
}

function deadlineOf(deployment: Deployment, current: Condition): number {
  const seconds = deployment.spec?.progressDeadlineSeconds ?? 0;
  return Date.parse(current.lastUpdateTime ?? current.lastTransitionTime ?? '') + seconds * 1000;
}

/** The newest ReplicaSet's failure counts first. */
function replicaFailure({ newest, old }: Rollout): Condition | undefined {
  for (const rs of newest ? [newest, ...old] : old) {
    const failure = rs.status?.conditions?.find((c) => c.type === 'ReplicaFailure');
    if (failure) {
      const { type, status, reason = '', message = '' } = failure;
      return { type, status, reason, message };
    }
  }
  return undefined;
}

/** Conditions under change; times are set as upstream sets them. */
class Conditions {
  list: Condition[];
  readonly #now: string;

  constructor(list: readonly Condition[], now: number) {
    this.list = [...list];
    this.#now = timeString(now);
  }

  get(type: string): Condition | undefined {
    return this.list.find((c) => c.type === type);
  }

  remove(type: string): void {
    this.list = this.list.filter((c) => c.type !== type);
  }

  set(wanted: Condition): void {
    const current = this.get(wanted.type);
    if (current?.status === wanted.status && current.reason === wanted.reason) return;
    this.touch(wanted);
  }

  /** As `set`, but lastUpdateTime moves also when nothing else does. */
  touch(wanted: Condition): void {
    const current = this.get(wanted.type);
    const same = current?.status === wanted.status;
    const since = same ? (current?.lastTransitionTime ?? this.#now) : this.#now;
    this.remove(wanted.type);
    this.list.push({ ...wanted, lastUpdateTime: this.#now, lastTransitionTime: since });
  }
}
