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

interface Gauge {
  readonly read: (resources: Resources) => number;
  /** A Pod that asks for none of an extended resource says nothing about it. */
  readonly optional: boolean;
}

const HALF = MAX_NODE_SCORE / 2;
const NATIVE = ['cpu', 'memory', 'ephemeral-storage'];

/** Prefers nodes whose resources would be used more evenly with the Pod than they are without it. */
export function nodeResourcesBalancedAllocation(
  args: BalancedAllocationArgs,
): PreScorePlugin & ScorePlugin {
  const gauges = args.resources.map(({ name }) => ({
    read: amountReader(name),
    optional: !NATIVE.includes(name),
  }));
  return {
    name: 'NodeResourcesBalancedAllocation',
    wakeOn: [],

    preScore(_state, pod) {
      // A Pod that asks for nothing tilts no balance.
      return gauges.some(({ read }) => read(pod.requests) > 0) ? FITS : SKIP;
    },

    // 50 to 100: 75 where the Pod changes nothing.
    score(_state, pod, node) {
      const better = evenness(gauges, pod, node, 1) - evenness(gauges, pod, node, 0);
      return HALF + Math.trunc((HALF + better) / 2);
    },
  };
}

/** 100 less the standard deviation of the shares in use, in percent, with the Pod there so many times. */
function evenness(gauges: readonly Gauge[], pod: PodInfo, node: NodeInfo, times: 0 | 1): number {
  let count = 0;
  let sum = 0;
  let first = 0;
  let last = 0;
  for (const gauge of gauges) {
    const share = shareOf(gauge, pod, node, times);
    if (share === undefined) continue;
    if (count++ === 0) first = share;
    last = share;
    sum += share;
  }
  if (count < 2) return MAX_NODE_SCORE;
  // The deviation of two numbers is half their distance: written so, it comes without a rounding error.
  if (count === 2) return Math.trunc((1 - Math.abs((first - last) / 2)) * MAX_NODE_SCORE);
  let squares = 0;
  for (const gauge of gauges) {
    const share = shareOf(gauge, pod, node, times);
    if (share !== undefined) squares += (share - sum / count) ** 2;
  }
  return Math.trunc((1 - Math.sqrt(squares / count)) * MAX_NODE_SCORE);
}

/** Undefined: the resource does not count here. */
function shareOf(
  { read, optional }: Gauge,
  pod: PodInfo,
  node: NodeInfo,
  times: 0 | 1,
): number | undefined {
  const allocatable = read(node.allocatable);
  const asked = read(pod.requests);
  if (allocatable === 0 || (optional && asked === 0)) return undefined;
  return Math.min(1, (read(node.requested) + times * asked) / allocatable);
}
