import type { Deployment, ReplicaSet } from '../../api/types.ts';
import { byAge, maxSurge, sizeOf, sumOf, wishedReplicas } from './bounds.ts';
import { MAX_REPLICAS } from './revisions.ts';
import type { Scaling } from './rolling.ts';

/**
 * Spreads a change of spec.replicas in the middle of a rollout over all ReplicaSets in proportion to their sizes;
 * what rounding leaves over goes to the largest.
 */
export function proportionalSizes(
  deployment: Deployment,
  active: readonly ReplicaSet[],
): Scaling[] {
  const wished = wishedReplicas(deployment);
  const allowed = wished > 0 ? wished + maxSurge(deployment) : 0;
  const toAdd = allowed - sumOf(active, sizeOf);
  const sorted = active.toSorted(toAdd > 0 ? largestNewestFirst : largestOldestFirst);
  let added = 0;
  const sizes = sorted.map((rs) => {
    const share = toAdd === 0 ? 0 : shareOf(deployment, rs, { toAdd, added });
    added += share;
    return sizeOf(rs) + share;
  });
  if (sizes[0] !== undefined) sizes[0] = Math.max(0, sizes[0] + toAdd - added);
  return sorted.map((rs, i) => ({ rs, replicas: sizes[i] ?? 0 }));
}

function shareOf(
  deployment: Deployment,
  rs: ReplicaSet,
  { toAdd, added }: { toAdd: number; added: number },
): number {
  if (sizeOf(rs) === 0 || toAdd === added) return 0;
  const fraction = fractionOf(deployment, rs);
  const allowed = toAdd - added;
  return toAdd > 0 ? Math.min(fraction, allowed) : Math.max(fraction, allowed);
}

/** How much the ReplicaSet grows or shrinks if it keeps its part of the whole. */
function fractionOf(deployment: Deployment, rs: ReplicaSet): number {
  if (wishedReplicas(deployment) === 0) return -sizeOf(rs);
  const annotated = Number(rs.metadata.annotations?.[MAX_REPLICAS] ?? 0);
  const before = annotated > 0 ? annotated : (deployment.status?.replicas ?? 0);
  if (before === 0) return 0;
  const size = (sizeOf(rs) * (wishedReplicas(deployment) + maxSurge(deployment))) / before;
  return Math.round(size) - sizeOf(rs);
}

function largestNewestFirst(a: ReplicaSet, b: ReplicaSet): number {
  return sizeOf(b) - sizeOf(a) || byAge(b, a);
}

function largestOldestFirst(a: ReplicaSet, b: ReplicaSet): number {
  return sizeOf(b) - sizeOf(a) || byAge(a, b);
}
