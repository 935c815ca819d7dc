import { MAX_NODE_SCORE, type PreScorePlugin, type ScorePlugin } from '../framework.ts';
import type { NodeInfo } from '../node-info.ts';
import type { PodInfo } from '../pod-info.ts';
import type { WeightedResource } from '../resource-scores.ts';
import { amountReader, type Resources } from '../resources.ts';
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
  const readers = args.resources.map((resource) => amountReader(resource.name));
  return {
    name: 'NodeResourcesBalancedAllocation',
    wakeOn: [],

    preScore(_state, pod) {
      // A Pod that asks for nothing tilts no balance.
      return readers.some((read) => read(pod.requests) > 0) ? FITS : SKIP;
    },

    score: (_state, pod, node) => balance(readers, pod, node),
  };
}

type Reader = (resources: Resources) => number;

/** 100 less the standard deviation of the shares, in percent. */
function balance(readers: readonly Reader[], pod: PodInfo, node: NodeInfo): number {
  let count = 0;
  let sum = 0;
  let squares = 0;
  for (const read of readers) {
    const allocatable = read(node.allocatable);
    if (allocatable === 0) continue;
    const share = Math.min(1, (read(node.requested) + read(pod.requests)) / allocatable);
    count++;
    sum += share;
    squares += share * share;
  }
  if (count < 2) return MAX_NODE_SCORE;
  const mean = sum / count;
  // Rounding may make equal shares differ by a hair below zero.
  const deviation = Math.sqrt(Math.max(0, squares / count - mean * mean));
  return Math.floor((1 - deviation) * MAX_NODE_SCORE);
}
