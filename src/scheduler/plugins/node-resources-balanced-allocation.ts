import { MAX_NODE_SCORE, type PreScorePlugin, type ScorePlugin } from '../framework.ts';
import type { NodeInfo } from '../node-info.ts';
import type { PodInfo } from '../pod-info.ts';
import type { WeightedResource } from '../resource-scores.ts';
import { amount } from '../resources.ts';
import { FITS, SKIP } from '../status.ts';

export interface BalancedAllocationArgs {
  readonly resources: readonly WeightedResource[];
}

export const DEFAULT_BALANCED_ARGS: BalancedAllocationArgs = {
  resources: [
    { name: 'cpu', weight: 1 },
    { name: 'memory', weight: 1 },
  ],
};

/** Prefers nodes where the shares of the resources in use would lie close together. */
export function nodeResourcesBalancedAllocation(
  args: BalancedAllocationArgs,
): PreScorePlugin & ScorePlugin {
  const names = args.resources.map((resource) => resource.name);
  return {
    name: 'NodeResourcesBalancedAllocation',
    wakeOn: [],

    preScore(_state, pod) {
      // A Pod that asks for nothing tilts no balance.
      return names.some((name) => amount(pod.requests, name) > 0) ? FITS : SKIP;
    },

    score: (_state, pod, node) => balance(names, pod, node),
  };
}

/** 100 less the standard deviation of the shares, in percent. */
function balance(names: readonly string[], pod: PodInfo, node: NodeInfo): number {
  const shares: number[] = [];
  for (const name of names) {
    const allocatable = amount(node.allocatable, name);
    if (allocatable === 0) continue;
    const requested = amount(node.requested, name) + amount(pod.requests, name);
    shares.push(Math.min(1, requested / allocatable));
  }
  return Math.floor((1 - deviation(shares)) * MAX_NODE_SCORE);
}

function deviation(shares: readonly number[]): number {
  const [a, b] = shares;
  if (a === undefined || b === undefined) return 0;
  if (shares.length === 2) return Math.abs((a - b) / 2);
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  const variance = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / shares.length;
  return Math.sqrt(variance);
}
