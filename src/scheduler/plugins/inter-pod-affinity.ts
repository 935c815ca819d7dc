import type { Pod } from '../../api/types.ts';
import {
  affinityWishes,
  DEFAULT_AFFINITY_ARGS,
  type InterPodAffinityArgs,
  type Meets,
  spreadOut,
} from '../affinity-scores.ts';
import { type AffinityTerm, type NamespaceLabels, termMatches } from '../affinity-terms.ts';
import type { Wake } from '../cluster-events.ts';
import type { CycleState, PluginState } from '../cycle-state.ts';
import type { FilterPlugin, PreFilterPlugin, PreScorePlugin, ScorePlugin } from '../framework.ts';
import type { NodeInfo } from '../node-info.ts';
import { PodInfo } from '../pod-info.ts';
import type { Snapshot } from '../snapshot.ts';
import { FITS, SKIP, unresolvable, unschedulable } from '../status.ts';
import { TopologyCounts } from '../topology-counts.ts';

const NAME = 'InterPodAffinity';
const PRE_SCORE = `PreScore${NAME}`;
const NO_AFFINITY = unresolvable("node(s) didn't match pod affinity rules");
const ANTI_AFFINITY = unschedulable("node(s) didn't match pod anti-affinity rules");
const OTHERS_ANTI_AFFINITY = unschedulable(
  "node(s) didn't satisfy existing pods anti-affinity rules",
);

/** How many Pods each topology domain holds that the rules speak of. */
class Counts implements PluginState {
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

  clone(): Counts {
    return new Counts(this.others.copy(), this.affinity.copy(), this.anti.copy());
  }
}

class Scores implements PluginState {
  readonly byDomain: TopologyCounts;

  constructor(byDomain: TopologyCounts) {
    this.byDomain = byDomain;
  }

  clone(): Scores {
    return this;
  }
}

type InterPodAffinity = PreFilterPlugin & FilterPlugin & PreScorePlugin & ScorePlugin;

/** Places Pods beside, or away from, other Pods: required and preferred affinity and anti-affinity, both ways. */
export function interPodAffinity(
  deps: { namespaceLabels: NamespaceLabels; snapshot: () => Snapshot },
  args: InterPodAffinityArgs = DEFAULT_AFFINITY_ARGS,
): InterPodAffinity {
  const { namespaceLabels } = deps;
  const meets = (term: AffinityTerm, pod: PodInfo) => termMatches(term, pod, namespaceLabels);
  return {
    name: NAME,
    wakeOn: wakes(meets),

    preFilter(state, pod, snapshot) {
      const counts = countAll(pod, snapshot, meets);
      if (!counts) return SKIP;
      state.write(NAME, counts);
      return FITS;
    },

    addPod: (state, pod, other, node) => recount(state, meets, { pod, other, node, by: 1 }),
    removePod: (state, pod, other, node) => recount(state, meets, { pod, other, node, by: -1 }),

    filter(state, pod, node) {
      const counts = state.read<Counts>(NAME);
      if (!counts) return FITS;
      if (!affinityHolds(counts, meets, pod, node)) return NO_AFFINITY;
      for (const term of pod.requiredAntiAffinity) {
        if (counts.anti.at(node, term.topologyKey) > 0) return ANTI_AFFINITY;
      }
      return counts.others.anyAt(node) ? OTHERS_ANTI_AFFINITY : FITS;
    },

    preScore(state, pod) {
      const byDomain = affinityWishes(pod, deps.snapshot(), { meets, args });
      if (byDomain.size === 0) return SKIP;
      state.write(PRE_SCORE, new Scores(byDomain));
      return FITS;
    },

    score: (state, _pod, node) => state.read<Scores>(PRE_SCORE)?.byDomain.sumAt(node) ?? 0,

    normalizeScore: (_state, _pod, scores) => spreadOut(scores),
  };
}

/** Undefined when no rule bears on the Pod. */
function countAll(pod: PodInfo, snapshot: Snapshot, meets: Meets): Counts | undefined {
  const counts = new Counts();
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

interface Encounter {
  readonly pod: PodInfo;
  readonly other: PodInfo;
  readonly node: NodeInfo;
  /** 1: `other` is on the node; -1: not any more. */
  readonly by: number;
}

/** Counts `other` where it forbids Pods like ours. */
function countOthers(counts: Counts, meets: Meets, { pod, other, node, by }: Encounter): void {
  for (const term of other.requiredAntiAffinity) {
    if (meets(term, pod)) counts.others.add(node, term.topologyKey, by);
  }
}

/** Counts `other` where our own terms ask for it or against it. */
function countOwn(counts: Counts, meets: Meets, { pod, other, node, by }: Encounter): void {
  const wanted = pod.requiredAffinity;
  if (wanted.length > 0 && wanted.every((term) => meets(term, other))) {
    for (const term of wanted) counts.affinity.add(node, term.topologyKey, by);
  }
  for (const term of pod.requiredAntiAffinity) {
    if (meets(term, other)) counts.anti.add(node, term.topologyKey, by);
  }
}

function recount(state: CycleState, meets: Meets, encounter: Encounter): void {
  const counts = state.read<Counts>(NAME);
  if (!counts) return;
  countOthers(counts, meets, encounter);
  countOwn(counts, meets, encounter);
}

function affinityHolds(counts: Counts, meets: Meets, pod: PodInfo, node: NodeInfo): boolean {
  let found = true;
  for (const { topologyKey } of pod.requiredAffinity) {
    if (node.labels[topologyKey] === undefined) return false;
    if (counts.affinity.at(node, topologyKey) <= 0) found = false;
  }
  if (found) return true;
  // The first of a group that wants to be together has nobody to join yet.
  return counts.affinity.size === 0 && pod.requiredAffinity.every((term) => meets(term, pod));
}

/** A Pod helps when it (or its going) bears on one of the terms; a node when it has all topology keys. */
function wakes(meets: Meets): Wake[] {
  const info = (pod: unknown) => new PodInfo(pod as Pod);
  return [
    {
      on: ['AssignedPod/Add', 'AssignedPod/UpdateLabel'],
      helps: (pod, { after }) => {
        const other = info(after);
        return pod.requiredAffinity.some((term) => meets(term, other));
      },
    },
    {
      on: ['AssignedPod/Delete', 'AssignedPod/UpdateLabel'],
      helps: (pod, { before }) => {
        const other = info(before);
        return (
          pod.requiredAntiAffinity.some((term) => meets(term, other)) ||
          other.requiredAntiAffinity.some((term) => meets(term, pod))
        );
      },
    },
    { on: ['Node/Add', 'Node/UpdateLabel', 'Pod/UpdateLabel', 'Namespace/Update'] },
  ];
}
