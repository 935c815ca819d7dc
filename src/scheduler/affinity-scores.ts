import type { Meets, WeightedTerm } from './affinity-terms.ts';
import { MAX_NODE_SCORE } from './framework.ts';
import type { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';
import type { Snapshot } from './snapshot.ts';
import { TopologyCounts } from './topology-counts.ts';

/** InterPodAffinityArgs. */
export interface InterPodAffinityArgs {
  /** What a required affinity of an existing Pod to the new one is worth in scores; 0 to 100. */
  readonly hardPodAffinityWeight: number;
  readonly ignorePreferredTermsOfExistingPods: boolean;
}

export const DEFAULT_AFFINITY_ARGS: InterPodAffinityArgs = {
  hardPodAffinityWeight: 1,
  ignorePreferredTermsOfExistingPods: false,
};

interface Rules {
  readonly meets: Meets;
  readonly args: InterPodAffinityArgs;
}

/** How welcome each topology domain is: what the Pod prefers, and what the Pods that are there prefer. */
export function affinityWishes(pod: PodInfo, snapshot: Snapshot, rules: Rules): TopologyCounts {
  const byDomain = new TopologyCounts();
  const { wishes } = pod;
  if (wishes.length > 0) {
    for (const node of snapshot.nodes) {
      if (node.pods.size === 0) continue;
      for (const other of node.pods.values())
        addWishes(byDomain, wishes, { of: other, node, rules });
    }
  }
  for (const node of snapshot.withAffinity.values()) {
    for (const other of node.podsWithAffinity.values()) {
      addOthers(byDomain, other, { of: pod, node, rules });
    }
  }
  return byDomain;
}

interface Encounter {
  readonly of: PodInfo;
  readonly node: NodeInfo;
  readonly rules: Rules;
}

/** What an existing Pod thinks of the new one. */
function addOthers(byDomain: TopologyCounts, other: PodInfo, encounter: Encounter): void {
  const { args, meets } = encounter.rules;
  if (args.hardPodAffinityWeight > 0) {
    for (const term of other.requiredAffinity) {
      if (!meets(term, encounter.of)) continue;
      byDomain.add(encounter.node, term.topologyKey, args.hardPodAffinityWeight);
    }
  }
  if (!args.ignorePreferredTermsOfExistingPods) addWishes(byDomain, other.wishes, encounter);
}

/** Each wish that Pod `of` meets counts for the domain that `node` is in. */
function addWishes(
  byDomain: TopologyCounts,
  wishes: readonly WeightedTerm[],
  { of, node, rules }: Encounter,
): void {
  for (const { term, weight } of wishes) {
    if (rules.meets(term, of)) byDomain.add(node, term.topologyKey, weight);
  }
}

/** Maps the lowest raw score to 0 and the highest to MAX_NODE_SCORE. */
export function spreadOut(scores: number[]): void {
  const min = scores.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const max = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  for (let i = 0; i < scores.length; i++) {
    const share = max > min ? ((scores[i] ?? 0) - min) / (max - min) : 0;
    scores[i] = Math.trunc(MAX_NODE_SCORE * share);
  }
}
