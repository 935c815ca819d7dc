import type { PluginState } from './cycle-state.ts';
import { MAX_NODE_SCORE } from './framework.ts';
import type { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';
import {
  type CompiledConstraint,
  countMatching,
  hasAllKeys,
  NodeInclusion,
} from './spread-constraints.ts';

const HOSTNAME = 'kubernetes.io/hostname';

/** What ScheduleAnyway constraints know after one look at the cluster. */
export class SpreadScores implements PluginState {
  readonly constraints: readonly CompiledConstraint[];
  /** Nodes that lack a topology key: they get no score. */
  readonly ignored: ReadonlySet<string>;
  /** Per constraint: domain → matching Pods. Hosts are counted when they are scored. */
  readonly counts: readonly ReadonlyMap<string, number>[];
  /** Per constraint: what a Pod weighs; more where there are more domains. */
  readonly weights: readonly number[];

  constructor(parts: Omit<SpreadScores, 'clone'>) {
    this.constraints = parts.constraints;
    this.ignored = parts.ignored;
    this.counts = parts.counts;
    this.weights = parts.weights;
  }

  clone(): SpreadScores {
    return this;
  }
}

export function spreadScores(
  pod: PodInfo,
  constraints: readonly CompiledConstraint[],
  cluster: { nodes: readonly NodeInfo[]; all: readonly NodeInfo[]; needsAllKeys: boolean },
): SpreadScores {
  const { nodes, all, needsAllKeys } = cluster;
  const counts = constraints.map(() => new Map<string, number>());
  const ignored = new Set<string>();
  for (const node of nodes) {
    if (needsAllKeys && !hasAllKeys(node, constraints)) {
      ignored.add(node.name);
      continue;
    }
    constraints.forEach(({ topologyKey }, i) => {
      const value = node.labels[topologyKey];
      if (topologyKey !== HOSTNAME && value !== undefined) counts[i]?.set(value, 0);
    });
  }
  const weights = constraints.map(({ topologyKey }, i) =>
    Math.log((topologyKey === HOSTNAME ? nodes.length - ignored.size : (counts[i]?.size ?? 0)) + 2),
  );
  const inclusion = new NodeInclusion(pod);
  for (const node of all) {
    if (needsAllKeys && !hasAllKeys(node, constraints)) continue;
    constraints.forEach((constraint, i) => {
      const value = node.labels[constraint.topologyKey];
      const before = value === undefined ? undefined : counts[i]?.get(value);
      if (value === undefined || before === undefined) return;
      if (!inclusion.includes(constraint, node)) return;
      counts[i]?.set(value, before + countMatching(node, constraint.selector, pod.namespace));
    });
  }
  return new SpreadScores({ constraints, ignored, counts, weights });
}

/** Raw: more matching Pods in the node's domains is a higher, that is a worse, number. */
export function spreadScore(scores: SpreadScores, pod: PodInfo, node: NodeInfo): number {
  if (scores.ignored.has(node.name)) return 0;
  let sum = 0;
  scores.constraints.forEach(({ topologyKey, maxSkew, selector }, i) => {
    const value = node.labels[topologyKey];
    if (value === undefined) return;
    const count =
      topologyKey === HOSTNAME
        ? countMatching(node, selector, pod.namespace)
        : (scores.counts[i]?.get(value) ?? 0);
    sum += count * (scores.weights[i] ?? 0) + (maxSkew - 1);
  });
  return Math.round(sum);
}

/** Turns raw numbers upside down: the fewest Pods get MAX_NODE_SCORE. */
export function normalizeSpread(
  { ignored }: SpreadScores,
  scores: number[],
  nodes: readonly NodeInfo[],
): void {
  let min = Number.POSITIVE_INFINITY;
  let max = 0;
  nodes.forEach((node, i) => {
    if (ignored.has(node.name)) return;
    min = Math.min(min, scores[i] ?? 0);
    max = Math.max(max, scores[i] ?? 0);
  });
  nodes.forEach((node, i) => {
    if (ignored.has(node.name)) scores[i] = 0;
    else if (max === 0) scores[i] = MAX_NODE_SCORE;
    else scores[i] = Math.floor((MAX_NODE_SCORE * (max + min - (scores[i] ?? 0))) / max);
  });
}
