import type { LabelSelector } from '../api/types.ts';
import type { NodeInfo } from './node-info.ts';
import type { SpreadConstraint } from './parts.ts';
import type { PodInfo } from './pod-info.ts';
import { requiredNodeMatcher } from './required-node-affinity.ts';
import { compileLabelSelector, type LabelMatcher, type NodeMatcher } from './selectors.ts';
import { untoleratedTaint } from './tolerations.ts';

/** A topology spread constraint made ready. */
export interface CompiledConstraint {
  readonly maxSkew: number;
  readonly topologyKey: string;
  readonly minDomains: number;
  readonly selector: LabelMatcher;
  /** Whether the Pod counts itself. */
  readonly selfMatch: boolean;
  readonly honorsAffinity: boolean;
  readonly honorsTaints: boolean;
}

/** The constraints of a Pod of one kind. matchLabelKeys add the Pod's own values (KEP-3243). */
export function compileConstraints(
  constraints: readonly SpreadConstraint[],
  pod: PodInfo,
  whenUnsatisfiable: 'DoNotSchedule' | 'ScheduleAnyway',
): CompiledConstraint[] {
  return constraints
    .filter((constraint) => constraint.whenUnsatisfiable === whenUnsatisfiable)
    .map((constraint) => {
      const selector = compileLabelSelector(selectorOf(constraint, pod));
      return {
        maxSkew: constraint.maxSkew,
        topologyKey: constraint.topologyKey,
        minDomains: constraint.minDomains ?? 1,
        selector,
        selfMatch: selector(pod.labels),
        honorsAffinity: (constraint.nodeAffinityPolicy ?? 'Honor') === 'Honor',
        honorsTaints: constraint.nodeTaintsPolicy === 'Honor',
      };
    });
}

function selectorOf(constraint: SpreadConstraint, pod: PodInfo): LabelSelector | undefined {
  const selector = constraint.labelSelector;
  if (!constraint.matchLabelKeys?.length) return selector;
  const expressions = [...(selector?.matchExpressions ?? [])];
  for (const key of constraint.matchLabelKeys) {
    const value = pod.labels[key];
    if (value !== undefined) expressions.push({ key, operator: 'In', values: [value] });
  }
  return { ...selector, matchExpressions: expressions };
}

/** Which nodes count for a constraint of this Pod. */
export class NodeInclusion {
  readonly #pod: PodInfo;
  readonly #matches: NodeMatcher | undefined;

  constructor(pod: PodInfo) {
    this.#pod = pod;
    this.#matches = requiredNodeMatcher(pod);
  }

  includes(constraint: CompiledConstraint, { node }: NodeInfo): boolean {
    if (constraint.honorsAffinity && this.#matches && !this.#matches(node)) return false;
    return !constraint.honorsTaints || !untoleratedTaint(node, this.#pod.tolerations);
  }
}

export function hasAllKeys(node: NodeInfo, constraints: readonly CompiledConstraint[]): boolean {
  for (const { topologyKey } of constraints) {
    if (node.labels[topologyKey] === undefined) return false;
  }
  return true;
}

/** Pods of that namespace that the selector selects; those being deleted do not count. */
export function countMatching(node: NodeInfo, selector: LabelMatcher, namespace: string): number {
  let count = 0;
  if (node.pods.size === 0) return count;
  for (const other of node.pods.values()) {
    if (other.namespace !== namespace || !selector(other.labels)) continue;
    if (other.pod.metadata.deletionTimestamp === undefined) count++;
  }
  return count;
}
