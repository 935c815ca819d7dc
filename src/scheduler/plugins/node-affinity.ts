import type { Node } from '../../api/types.ts';
import type { CycleState, PluginState } from '../cycle-state.ts';
import type { FilterPlugin, PreFilterPlugin, PreScorePlugin, ScorePlugin } from '../framework.ts';
import { normalizeUp } from '../normalize.ts';
import type { NodeAffinityRules, PreferredNodeTerm } from '../parts.ts';
import type { PodInfo } from '../pod-info.ts';
import { requiredNodeMatcher, requiredNodeSelector } from '../required-node-affinity.ts';
import {
  compileNodeSelector,
  compileNodeSelectorTerm,
  type NodeMatcher,
  namedNodes,
} from '../selectors.ts';
import { FITS, SKIP, unresolvable } from '../status.ts';

const NAME = 'NodeAffinity';
const PRE_SCORE = `PreScore${NAME}`;
const REFUSED = unresolvable("node(s) didn't match Pod's node affinity/selector");
const REFUSED_BY_PROFILE = unresolvable("node(s) didn't match scheduler-enforced node affinity");
const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution';
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution';

interface WeightedNodeTerm {
  readonly weight: number;
  readonly matches: NodeMatcher;
}

class RequiredState implements PluginState {
  readonly matches: NodeMatcher;

  constructor(matches: NodeMatcher) {
    this.matches = matches;
  }

  clone(): RequiredState {
    return this;
  }
}

class PreferredState implements PluginState {
  readonly terms: readonly WeightedNodeTerm[];

  constructor(terms: readonly WeightedNodeTerm[]) {
    this.terms = terms;
  }

  clone(): PreferredState {
    return this;
  }
}

/** NodeAffinityArgs: a node affinity that every Pod of the profile gets besides its own. */
export interface NodeAffinityArgs {
  readonly addedAffinity?: NodeAffinityRules;
}

type NodeAffinity = PreFilterPlugin & FilterPlugin & PreScorePlugin & ScorePlugin;

/** Rejects nodes that nodeSelector or required node affinity do not select; prefers those of preferred affinity. */
export function nodeAffinity(args: NodeAffinityArgs = {}): NodeAffinity {
  const addedRequired = args.addedAffinity?.[REQUIRED];
  const added = addedRequired ? compileNodeSelector(addedRequired) : undefined;
  const addedPreferred = compilePreferred(args.addedAffinity?.[PREFERRED]);
  return {
    name: NAME,
    wakeOn: [
      {
        on: ['Node/Add', 'Node/UpdateLabel'],
        helps: (pod, { before, after }) => becomesSelected(pod, before as Node, after as Node),
      },
    ],

    preFilter(state, pod) {
      const selector = requiredNodeSelector(pod);
      const matches = requiredNodeMatcher(pod);
      if (!matches && !added) return SKIP;
      state.write(NAME, new RequiredState(matches ?? (() => true)));
      const names = selector ? namedNodes(selector) : undefined;
      return names ? { nodes: names } : FITS;
    },

    filter(state: CycleState, pod, { node }) {
      if (added && !added(node)) return REFUSED_BY_PROFILE;
      const matches = state.read<RequiredState>(NAME)?.matches ?? requiredNodeMatcher(pod);
      return !matches || matches(node) ? FITS : REFUSED;
    },

    preScore(state, pod) {
      const own = compilePreferred(pod.pod.spec?.affinity?.nodeAffinity?.[PREFERRED]);
      if (own.length + addedPreferred.length === 0) return SKIP;
      state.write(PRE_SCORE, new PreferredState([...addedPreferred, ...own]));
      return FITS;
    },

    score(state, _pod, { node }) {
      let sum = 0;
      for (const { weight, matches } of state.read<PreferredState>(PRE_SCORE)?.terms ?? []) {
        if (matches(node)) sum += weight;
      }
      return sum;
    },

    normalizeScore: (_state, _pod, scores) => normalizeUp(scores),
  };
}

function compilePreferred(terms: readonly PreferredNodeTerm[] | undefined): WeightedNodeTerm[] {
  return (terms ?? [])
    .filter((term) => term.weight !== 0)
    .map(({ weight, preference }) => ({ weight, matches: compileNodeSelectorTerm(preference) }));
}

function becomesSelected(pod: PodInfo, before: Node | undefined, after: Node): boolean {
  const matches = requiredNodeMatcher(pod);
  if (!matches) return true; // the profile's own affinity refused it
  return matches(after) && (!before || !matches(before));
}
