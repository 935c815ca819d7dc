import type { Meets } from './affinity-terms.ts';
import type { PluginState } from './cycle-state.ts';
import type { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';
import type { Snapshot } from './snapshot.ts';
import { TopologyCounts } from './topology-counts.ts';

/** How many Pods each topology domain holds that required terms speak of. */
export class AffinityCounts implements PluginState {
  /** Existing Pods that want no Pod like ours in their domain. */
  readonly others: TopologyCounts;
  /** Pods that meet all our affinity terms. */
  readonly affinity: TopologyCounts;
  /** Pods that meet one of our anti-affinity terms. */
  readonly anti: TopologyCounts;

  constructor(
    others = new TopologyCounts(),
    affinity = new TopologyCounts(),
    anti = new TopologyCounts(),
  ) {
    this.others = others;
    this.affinity = affinity;
    this.anti = anti;
  }

  clone(): AffinityCounts {
    return new AffinityCounts(this.others.copy(), this.affinity.copy(), this.anti.copy());
  }
}

/** What required terms count in the whole cluster; undefined when none bears on the Pod. */
export function countAffinity(
  pod: PodInfo,
  snapshot: Snapshot,
  meets: Meets,
): AffinityCounts | undefined {
  const counts = new AffinityCounts();
  for (const node of snapshot.withRequiredAntiAffinity.values()) {
    for (const other of node.podsWithRequiredAntiAffinity.values()) {
      countOthers(counts, meets, { pod, other, node, by: 1 });
    }
  }
  const own = pod.requiredAffinity.length + pod.requiredAntiAffinity.length > 0;
  if (!own) return counts.others.size === 0 ? undefined : counts;
  for (const node of snapshot.nodes) {
    if (node.pods.size === 0) continue; // most are, in a large cluster; an iterator for each costs
    for (const other of node.pods.values()) countOwn(counts, meets, { pod, other, node, by: 1 });
  }
  return counts;
}

export interface Encounter {
  readonly pod: PodInfo;
  readonly other: PodInfo;
  readonly node: NodeInfo;
  /** 1: `other` is on the node; -1: not any more. */
  readonly by: number;
}

/** Counts `other` where it forbids Pods like ours. */
function countOthers(
  counts: AffinityCounts,
  meets: Meets,
  { pod, other, node, by }: Encounter,
): void {
  for (const term of other.requiredAntiAffinity) {
    if (meets(term, pod)) counts.others.add(node, term.topologyKey, by);
  }
}

/** Counts `other` where our own terms ask for it or against it. */
function countOwn(counts: AffinityCounts, meets: Meets, { pod, other, node, by }: Encounter): void {
  const wanted = pod.requiredAffinity;
  if (wanted.length > 0 && wanted.every((term) => meets(term, other))) {
    for (const term of wanted) counts.affinity.add(node, term.topologyKey, by);
  }
  for (const term of pod.requiredAntiAffinity) {
    if (meets(term, other)) counts.anti.add(node, term.topologyKey, by);
  }
}

/** Keeps the counts right when a Pod comes to a node or goes from it. */
export function recountAffinity(counts: AffinityCounts, meets: Meets, encounter: Encounter): void {
  countOthers(counts, meets, encounter);
  countOwn(counts, meets, encounter);
}

/** Whether a Pod that meets all required affinity terms is in each of their domains that the node is in. */
export function affinityHolds(
  counts: AffinityCounts,
  meets: Meets,
  pod: PodInfo,
  node: NodeInfo,
): boolean {
  let found = true;
  for (const { topologyKey } of pod.requiredAffinity) {
    if (node.labels[topologyKey] === undefined) return false;
    if (counts.affinity.at(node, topologyKey) <= 0) found = false;
  }
  if (found) return true;
  // The first of a group that wants to be together has nobody to join yet.
  return counts.affinity.size === 0 && pod.requiredAffinity.every((term) => meets(term, pod));
}
