import type { Node } from '../../api/types.ts';
import type { CycleState, PluginState } from '../cycle-state.ts';
import type { FilterPlugin, PreScorePlugin, ScorePlugin } from '../framework.ts';
import { normalizeDown } from '../normalize.ts';
import type { Toleration } from '../parts.ts';
import type { PodInfo } from '../pod-info.ts';
import { FITS, unresolvable } from '../status.ts';
import { taintsOf, toleratesAny, untoleratedTaint } from '../tolerations.ts';

const NAME = 'TaintToleration';
const REFUSED = unresolvable('node(s) had untolerated taint(s)');

class PreferState implements PluginState {
  /** The tolerations that bear on PreferNoSchedule taints. */
  readonly tolerations: readonly Toleration[];

  constructor(pod: PodInfo) {
    this.tolerations = pod.tolerations.filter(
      ({ effect }) => !effect || effect === 'PreferNoSchedule',
    );
  }

  clone(): PreferState {
    return this;
  }
}

/** Rejects nodes with taints that the Pod does not tolerate; prefers nodes with fewer PreferNoSchedule ones. */
export const taintToleration: FilterPlugin & PreScorePlugin & ScorePlugin = {
  name: NAME,
  wakeOn: [
    {
      on: ['Node/Add', 'Node/UpdateTaint'],
      helps: (pod, { before, after }) => becomesTolerated(pod, before as Node, after as Node),
    },
    { on: ['Pod/UpdateToleration'] },
  ],

  filter(_state, pod, { node }) {
    return untoleratedTaint(node, pod.tolerations) ? REFUSED : FITS;
  },

  preScore(state, pod) {
    state.write(NAME, new PreferState(pod));
    return FITS;
  },

  score(state: CycleState, _pod, { node }) {
    const tolerations = state.read<PreferState>(NAME)?.tolerations ?? [];
    let disliked = 0;
    for (const taint of taintsOf(node)) {
      if (taint.effect === 'PreferNoSchedule' && !toleratesAny(tolerations, taint)) disliked++;
    }
    return disliked;
  },

  normalizeScore: (_state, _pod, scores) => normalizeDown(scores),
};

function becomesTolerated(pod: PodInfo, before: Node | undefined, after: Node): boolean {
  if (untoleratedTaint(after, pod.tolerations)) return false;
  return !before || untoleratedTaint(before, pod.tolerations) !== undefined;
}
