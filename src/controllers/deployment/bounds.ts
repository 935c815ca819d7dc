import { resolveIntOrPercent } from '../../api/int-or-string.ts';
import type { Deployment, ReplicaSet } from '../../api/types.ts';

/** How far a rolling update may go above and below the wished number of Pods. */
interface Bounds {
  readonly surge: number;
  readonly unavailable: number;
}

/** Surge is rounded up, unavailable down; both zero would stand still, so one may then be unavailable. */
function boundsOf(deployment: Deployment): Bounds {
  const { strategy, replicas = 1 } = deployment.spec ?? {};
  if (strategy?.type === 'Recreate') return { surge: 0, unavailable: 0 };
  const { maxSurge: up = '25%', maxUnavailable: down = '25%' } = strategy?.rollingUpdate ?? {};
  const surge = resolveIntOrPercent(up, replicas, 'up');
  const unavailable = resolveIntOrPercent(down, replicas, 'down');
  if (surge === 0 && unavailable === 0) return { surge, unavailable: 1 };
  return { surge, unavailable };
}

export function maxSurge(deployment: Deployment): number {
  return boundsOf(deployment).surge;
}

export function maxUnavailable(deployment: Deployment): number {
  const replicas = deployment.spec?.replicas ?? 1;
  if (replicas === 0) return 0;
  return Math.min(boundsOf(deployment).unavailable, replicas);
}

export function wishedReplicas(deployment: Deployment): number {
  return deployment.spec?.replicas ?? 1;
}

export function sizeOf(rs: ReplicaSet): number {
  return rs.spec?.replicas ?? 1;
}

/** As many Pods as it may have now: it may have to grow, or not have shrunk yet. */
export function presentOf(rs: ReplicaSet): number {
  return Math.max(sizeOf(rs), rs.status?.replicas ?? 0);
}

/** Its controller has seen the size that it is to have: before that its status tells of another one. */
export function hasFollowed({ metadata, status }: ReplicaSet): boolean {
  return (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0);
}

/** Available, and not about to be deleted because there are too many. */
export function stayingAvailable(rs: ReplicaSet): number {
  return Math.min(availableOf(rs), sizeOf(rs));
}

export function sumOf(sets: readonly ReplicaSet[], value: (rs: ReplicaSet) => number): number {
  return sets.reduce((sum, rs) => sum + value(rs), 0);
}

export function availableOf(rs: ReplicaSet): number {
  return rs.status?.availableReplicas ?? 0;
}

/** Oldest first; names decide between those of the same second. */
export function byAge(a: ReplicaSet, b: ReplicaSet): number {
  const [left, right] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
  if (left === right) return a.metadata.name < b.metadata.name ? -1 : 1;
  return left < right ? -1 : 1;
}
