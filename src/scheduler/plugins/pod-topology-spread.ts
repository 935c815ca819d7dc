import type { LabelSelector, Node, Pod } from '../../api/types.ts';
import type { Wake } from '../cluster-events.ts';
import type { PluginState } from '../cycle-state.ts';
import type { FilterPlugin, PreFilterPlugin, PreScorePlugin, ScorePlugin } from '../framework.ts';
import type { NodeInfo } from '../node-info.ts';
import type { SpreadConstraint } from '../parts.ts';
import type { PodInfo } from '../pod-info.ts';
import type { Snapshot } from '../snapshot.ts';
import {
  type CompiledConstraint,
  compileConstraints,
  countMatching,
  hasAllKeys,
  NodeInclusion,
} from '../spread-constraints.ts';
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

/** How many matching Pods each domain of one constraint holds, and the least. */
class Domains {
  readonly constraint: CompiledConstraint;
  readonly #counts: Map<string, number>;
  #min: number | undefined;

  constructor(constraint: CompiledConstraint, counts = new Map<string, number>()) {
    this.constraint = constraint;
    this.#counts = counts;
  }

  add(value: string, by: number): void {
    const count = (this.#counts.get(value) ?? 0) + by;
    this.#counts.set(value, count);
    // Only a new least can be told without a look at all domains.
    if (this.#min !== undefined) this.#min = by < 0 ? Math.min(this.#min, count) : undefined;
  }

  count(value: string): number {
    return this.#counts.get(value) ?? 0;
  }

  /** Fewer domains than minDomains: as if there were an empty one. */
  get min(): number {
    if (this.#counts.size < this.constraint.minDomains) return 0;
    if (this.#min === undefined) {
      let min = Number.POSITIVE_INFINITY;
      for (const count of this.#counts.values()) if (count < min) min = count;
      this.#min = min;
    }
    return this.#min;
  }

  copy(): Domains {
    return new Domains(this.constraint, new Map(this.#counts));
  }
}

class SpreadState implements PluginState {
  readonly domains: readonly Domains[];
  readonly constraints: readonly CompiledConstraint[];
  readonly inclusion: NodeInclusion;

  constructor(domains: readonly Domains[], inclusion: NodeInclusion) {
    this.domains = domains;
    this.constraints = domains.map((domain) => domain.constraint);
    this.inclusion = inclusion;
  }

  clone(): SpreadState {
    return new SpreadState(
      this.domains.map((domain) => domain.copy()),
      this.inclusion,
    );
  }
}

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

    addPod: (state, pod, other, node) => recount(state.read(NAME), pod, { other, node, by: 1 }),
    removePod: (state, pod, other, node) => recount(state.read(NAME), pod, { other, node, by: -1 }),

    filter(state, _pod, node) {
      for (const domains of state.read<SpreadState>(NAME)?.domains ?? []) {
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

function countDomains(
  pod: PodInfo,
  constraints: readonly CompiledConstraint[],
  snapshot: Snapshot,
): SpreadState {
  const domains = constraints.map((constraint) => new Domains(constraint));
  const inclusion = new NodeInclusion(pod);
  for (const node of snapshot.nodes) {
    if (!hasAllKeys(node, constraints)) continue;
    for (const domain of domains) {
      const { constraint } = domain;
      if (!inclusion.includes(constraint, node)) continue;
      const value = node.labels[constraint.topologyKey] ?? '';
      domain.add(value, countMatching(node, constraint.selector, pod.namespace));
    }
  }
  return new SpreadState(domains, inclusion);
}

function recount(
  state: SpreadState | undefined,
  pod: PodInfo,
  { other, node, by }: { other: PodInfo; node: NodeInfo; by: number },
): void {
  if (!state || other.namespace !== pod.namespace || !hasAllKeys(node, state.constraints)) return;
  for (const domain of state.domains) {
    const { constraint } = domain;
    const value = node.labels[constraint.topologyKey] ?? '';
    if (!constraint.selector(other.labels)) continue;
    if (state.inclusion.includes(constraint, node)) domain.add(value, by);
  }
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
