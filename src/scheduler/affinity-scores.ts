import type { AffinityTerm, WeightedTerm } from './affinity-terms.ts';
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

/** Whether a Pod is one of those that a term speaks of. */
export type Meets = (term: AffinityTerm, pod: PodInfo) => boolean;

interface Rules {
  readonly meets: Meets;
  readonly args: InterPodAffinityArgs;
}

/** How welcome each topology domain is: what the Pod prefers, and what the Pods that are there prefer. */
export function affinityWishes(pod: PodInfo, snapshot: Snapshot, rules: Rules): TopologyCounts {
  const byDomain = new TopologyCounts();
  const wishes = [...pod.preferredAffinity, ...pod.preferredAntiAffinity.map(negative)];
  if (wishes.length > 0) {
    for (const node of snapshot.nodes) {
      for (const other of node.pods.values())
        addWishes(byDomain, wishes, { of: other, node, rules });
    }
  }
  for (const node of snapshot.withAffinity) {
    for (const other of node.podsWithAffinity.values()) {
      addWishes(byDomain, wishesOf(other, rules.args), { of: pod, node, rules });
    }
  }
  return byDomain;
}

function negative({ term, weight }: WeightedTerm): WeightedTerm {
  return { term, weight: -weight };
}

/** What an existing Pod thinks of others beside it. */
function wishesOf(other: PodInfo, args: InterPodAffinityArgs): readonly WeightedTerm[] {
  const weight = args.hardPodAffinityWeight;
  const hard = weight > 0 ? other.requiredAffinity.map((term) => ({ term, weight })) : [];
  if (args.ignorePreferredTermsOfExistingPods) return hard;
  return [...hard, ...other.preferredAffinity, ...other.preferredAntiAffinity.map(negative)];
}

/** Each wish that Pod `of` meets counts for the domain that `node` is in. */
function addWishes(
  byDomain: TopologyCounts,
  wishes: readonly WeightedTerm[],
  { of, node, rules }: { of: PodInfo; node: NodeInfo; rules: Rules },
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
