import type { PluginState } from './cycle-state.ts';
import type { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';
import type { Snapshot } from './snapshot.ts';
import {
  type CompiledConstraint,
  countMatching,
  hasAllKeys,
  NodeInclusion,
} from './spread-constraints.ts';

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

/** What DoNotSchedule constraints know after one look at the cluster. */
export class SpreadDomains implements PluginState {
  /** One for each constraint. */
  readonly domains: readonly Domains[];
  readonly constraints: readonly CompiledConstraint[];
  readonly inclusion: NodeInclusion;

  constructor(domains: readonly Domains[], inclusion: NodeInclusion) {
    this.domains = domains;
    this.constraints = domains.map((domain) => domain.constraint);
    this.inclusion = inclusion;
  }

  clone(): SpreadDomains {
    return new SpreadDomains(
      this.domains.map((domain) => domain.copy()),
      this.inclusion,
    );
  }
}

/** Counts the matching Pods on the nodes that count: those with all topology keys, as each constraint includes them. */
export function countDomains(
  pod: PodInfo,
  constraints: readonly CompiledConstraint[],
  snapshot: Snapshot,
): SpreadDomains {
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
  return new SpreadDomains(domains, inclusion);
}

/** Keeps the counts right when a Pod comes to a node or goes from it. */
export function recountDomains(
  state: SpreadDomains | undefined,
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
