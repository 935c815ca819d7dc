import type { LabelSelector, Node, Pod } from '../../api/types.ts';
import type { Wake } from '../cluster-events.ts';
import type { FilterPlugin, PreFilterPlugin, PreScorePlugin, ScorePlugin } from '../framework.ts';
import type { SpreadConstraint } from '../parts.ts';
import type { PodInfo } from '../pod-info.ts';
import type { Snapshot } from '../snapshot.ts';
import { type CompiledConstraint, compileConstraints } from '../spread-constraints.ts';
import { countDomains, recountDomains, type SpreadDomains } from '../spread-domains.ts';
import { normalizeSpread, type SpreadScores, spreadScore, spreadScores } from '../spread-scores.ts';
import { FITS, SKIP, unresolvable, unschedulable } from '../status.ts';

const NAME = 'PodTopologySpread';
const PRE_SCORE = `PreScore${NAME}`;
const SKEWED = unschedulable("node(s) didn't match pod topology spread constraints");
const NO_LABEL = unresolvable(
  "node(s) didn't match pod topology spread constraints (missing required label)",
);

/** PodTopologySpreadArgs. `System` defaults spread softly over hosts and zones. */
export interface PodTopologySpreadArgs {
  readonly defaultConstraints: readonly SpreadConstraint[];
  readonly defaultingType: 'System' | 'List';
}

export const DEFAULT_SPREAD_ARGS: PodTopologySpreadArgs = {
  defaultConstraints: [],
  defaultingType: 'System',
};

const SYSTEM_CONSTRAINTS: readonly SpreadConstraint[] = [
  { topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'ScheduleAnyway', maxSkew: 3 },
  { topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'ScheduleAnyway', maxSkew: 5 },
];

type PodTopologySpread = PreFilterPlugin & FilterPlugin & PreScorePlugin & ScorePlugin;

/** Spreads Pods over topology domains: DoNotSchedule filters, ScheduleAnyway prefers (KEP-895, KEP-3022, KEP-3094). */
export function podTopologySpread(
  deps: {
    snapshot: () => Snapshot;
    /** What selects the Pods that belong together with this one: of its Services and its controller. */
    siblings: (pod: PodInfo) => LabelSelector | undefined;
  },
  args: PodTopologySpreadArgs = DEFAULT_SPREAD_ARGS,
): PodTopologySpread {
  const constraintsOf = (pod: PodInfo, kind: 'DoNotSchedule' | 'ScheduleAnyway') =>
    compileConstraints(spreadOf(pod, args, deps.siblings), pod, kind);
  return {
    name: NAME,
    wakeOn: wakes((pod) => constraintsOf(pod, 'DoNotSchedule')),

    preFilter(state, pod, snapshot) {
      const constraints = constraintsOf(pod, 'DoNotSchedule');
      if (constraints.length === 0) return SKIP;
      state.write(NAME, countDomains(pod, constraints, snapshot));
      return FITS;
    },

    addPod: (state, pod, other, node) =>
      recountDomains(state.read(NAME), pod, { other, node, by: 1 }),
    removePod: (state, pod, other, node) =>
      recountDomains(state.read(NAME), pod, { other, node, by: -1 }),

    filter(state, _pod, node) {
      for (const domains of state.read<SpreadDomains>(NAME)?.domains ?? []) {
        const { topologyKey, maxSkew, selfMatch } = domains.constraint;
        const value = node.labels[topologyKey];
        if (value === undefined) return NO_LABEL;
        const skew = domains.count(value) + (selfMatch ? 1 : 0) - domains.min;
        if (skew > maxSkew) return SKEWED;
      }
      return FITS;
    },

    preScore(state, pod, nodes) {
      const constraints = constraintsOf(pod, 'ScheduleAnyway');
      if (constraints.length === 0) return SKIP;
      const own = (pod.pod.spec?.topologySpreadConstraints?.length ?? 0) > 0;
      const needsAllKeys = own || args.defaultingType !== 'System';
      const all = deps.snapshot().nodes;
      state.write(PRE_SCORE, spreadScores(pod, constraints, { nodes, all, needsAllKeys }));
      return FITS;
    },

    score(state, pod, node) {
      const scores = state.read<SpreadScores>(PRE_SCORE);
      return scores ? spreadScore(scores, pod, node) : 0;
    },

    normalizeScore(state, _pod, scores, nodes) {
      const prepared = state.read<SpreadScores>(PRE_SCORE);
      if (prepared) normalizeSpread(prepared, scores, nodes);
    },
  };
}

/** The Pod's own constraints, or the defaults over its siblings. */
function spreadOf(
  pod: PodInfo,
  args: PodTopologySpreadArgs,
  siblings: (pod: PodInfo) => LabelSelector | undefined,
): readonly SpreadConstraint[] {
  const own = pod.pod.spec?.topologySpreadConstraints ?? [];
  if (own.length > 0) return own;
  const defaults = args.defaultingType === 'System' ? SYSTEM_CONSTRAINTS : args.defaultConstraints;
  const labelSelector = defaults.length > 0 ? siblings(pod) : undefined;
  return labelSelector ? defaults.map((constraint) => ({ ...constraint, labelSelector })) : [];
}

/** A Pod helps when a constraint counts it; a node when it has (or had) all keys. */
function wakes(constraintsOf: (pod: PodInfo) => CompiledConstraint[]): Wake[] {
  const counts = (pod: PodInfo, other: Pod) =>
    other.metadata.namespace === pod.namespace &&
    constraintsOf(pod).some(({ selector }) => selector(other.metadata.labels ?? {}));
  const hasKeys = (pod: PodInfo, node: Node | undefined) =>
    node !== undefined &&
    constraintsOf(pod).every(
      ({ topologyKey }) => node.metadata.labels?.[topologyKey] !== undefined,
    );
  return [
    {
      on: ['AssignedPod/Add', 'AssignedPod/Delete', 'AssignedPod/UpdateLabel'],
      helps: (pod, { before, after }) =>
        [before, after].some((other) => other !== undefined && counts(pod, other as Pod)),
    },
    {
      on: ['Node/Add', 'Node/Delete', 'Node/UpdateLabel', 'Node/UpdateTaint'],
      helps: (pod, { before, after }) =>
        hasKeys(pod, before as Node) || hasKeys(pod, after as Node),
    },
    { on: ['Pod/UpdateLabel', 'Pod/UpdateToleration'] },
  ];
}
