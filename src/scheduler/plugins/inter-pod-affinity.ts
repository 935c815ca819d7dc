import type { Pod } from '../../api/types.ts';
import {
  type AffinityCounts,
  affinityHolds,
  countAffinity,
  type Encounter,
  recountAffinity,
} from '../affinity-counts.ts';
import {
  affinityWishes,
  DEFAULT_AFFINITY_ARGS,
  type InterPodAffinityArgs,
  spreadOut,
} from '../affinity-scores.ts';
import { type Meets, type NamespaceLabels, termMatches } from '../affinity-terms.ts';
import type { Wake } from '../cluster-events.ts';
import type { CycleState, PluginState } from '../cycle-state.ts';
import type { FilterPlugin, PreFilterPlugin, PreScorePlugin, ScorePlugin } from '../framework.ts';
import { PodInfo } from '../pod-info.ts';
import type { Snapshot } from '../snapshot.ts';
import { FITS, SKIP, unresolvable, unschedulable } from '../status.ts';
import type { TopologyCounts } from '../topology-counts.ts';

const NAME = 'InterPodAffinity';
const PRE_SCORE = `PreScore${NAME}`;
const NO_AFFINITY = unresolvable("node(s) didn't match pod affinity rules");
const ANTI_AFFINITY = unschedulable("node(s) didn't match pod anti-affinity rules");
const OTHERS_ANTI_AFFINITY = unschedulable(
  "node(s) didn't satisfy existing pods anti-affinity rules",
);

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
  const meets: Meets = (term, pod) => termMatches(term, pod, namespaceLabels);
  const recount = (state: CycleState, encounter: Encounter) => {
    const counts = state.read<AffinityCounts>(NAME);
    if (counts) recountAffinity(counts, meets, encounter);
  };
  return {
    name: NAME,
    wakeOn: wakes(meets),

    preFilter(state, pod, snapshot) {
      const counts = countAffinity(pod, snapshot, meets);
      if (!counts) return SKIP;
      state.write(NAME, counts);
      return FITS;
    },

    addPod: (state, pod, other, node) => recount(state, { pod, other, node, by: 1 }),
    removePod: (state, pod, other, node) => recount(state, { pod, other, node, by: -1 }),

    filter(state, pod, node) {
      const counts = state.read<AffinityCounts>(NAME);
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

/** A Pod helps when it (or its going) bears on one of the terms; a node when it has all topology keys. */
function wakes(meets: Meets): Wake[] {
  const info = (pod: unknown) => new PodInfo(pod as Pod);
  const joins = (other: PodInfo, { requiredAffinity }: PodInfo) =>
    requiredAffinity.length > 0 && requiredAffinity.every((term) => meets(term, other));
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
          other.requiredAntiAffinity.some((term) => meets(term, pod)) ||
          // The last of its group has left: it may be the first of a new one, anywhere.
          (joins(other, pod) && joins(pod, pod))
        );
      },
    },
    { on: ['Node/Add', 'Node/UpdateLabel', 'Pod/UpdateLabel', 'Namespace/Update'] },
  ];
}
