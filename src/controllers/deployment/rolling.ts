import type { Deployment, ReplicaSet } from '../../api/types.ts';
import {
  byAge,
  hasFollowed,
  maxSurge,
  maxUnavailable,
  presentOf,
  sizeOf,
  stayingAvailable,
  sumOf,
  wishedReplicas,
} from './bounds.ts';

/** A ReplicaSet and the size that it should have. */
export interface Scaling {
  readonly rs: ReplicaSet;
  readonly replicas: number;
}

/**
 * How large the new ReplicaSet may be now, never so that all together exceed the surge (NewRSNewReplicas). A ReplicaSet
 * that has not yet shrunk to its size counts with the Pods that it has.
 */
export function newReplicaSetSize(
  deployment: Deployment,
  { old, newest }: { old: readonly ReplicaSet[]; newest: ReplicaSet | undefined },
  size: number,
): number {
  const all = newest ? [...old, newest] : old;
  const wished = wishedReplicas(deployment);
  if (deployment.spec?.strategy?.type === 'Recreate') return wished;
  if (size >= wished) return wished;
  // What has just been told to shrink may still have any number: its next status tells, and brings us here again.
  if (!old.every(hasFollowed)) return size;
  const room = wished + maxSurge(deployment) - sumOf(all, presentOf);
  return room <= 0 ? size : size + Math.min(room, wished - size);
}

/**
 * Which old ReplicaSets shrink now. First what is not available anyway, then, as far as enough others are available,
 * the rest; the oldest first (reconcileOldReplicaSets).
 */
export function shrinkOld(
  deployment: Deployment,
  old: readonly ReplicaSet[],
  newest: ReplicaSet | undefined,
): Scaling[] {
  if (sumOf(old, sizeOf) === 0) return [];
  const all = newest ? [...old, newest] : old;
  const minAvailable = wishedReplicas(deployment) - maxUnavailable(deployment);
  const pending = newest ? sizeOf(newest) - stayingAvailable(newest) : 0;
  const budget = sumOf(all, sizeOf) - minAvailable - pending;
  if (budget <= 0) return [];
  const sizes = new Map(old.map((rs) => [rs, sizeOf(rs)]));
  const oldest = old.toSorted(byAge);
  dropUnavailable(oldest, sizes, budget);
  dropAvailable(oldest, sizes, sumOf(all, stayingAvailable) - minAvailable);
  return old
    .map((rs) => ({ rs, replicas: sizes.get(rs) ?? 0 }))
    .filter(({ rs, replicas }) => replicas !== sizeOf(rs));
}

function dropUnavailable(
  oldest: readonly ReplicaSet[],
  sizes: Map<ReplicaSet, number>,
  budget: number,
): void {
  let left = budget;
  for (const rs of oldest) {
    const drop = Math.max(0, Math.min(left, sizeOf(rs) - stayingAvailable(rs)));
    sizes.set(rs, sizeOf(rs) - drop);
    left -= drop;
  }
}

function dropAvailable(
  oldest: readonly ReplicaSet[],
  sizes: Map<ReplicaSet, number>,
  budget: number,
): void {
  let left = budget;
  for (const rs of oldest) {
    const size = sizes.get(rs) ?? 0;
    const drop = Math.max(0, Math.min(left, size));
    sizes.set(rs, size - drop);
    left -= drop;
  }
}
