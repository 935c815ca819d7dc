import { fromMap, matches, type Requirement } from './labels.ts';
import type { Node, PodSpec } from './types.ts';

type NodeSelectorTerm = NonNullable<
  NonNullable<
    NonNullable<
      NonNullable<PodSpec['affinity']>['nodeAffinity']
    >['requiredDuringSchedulingIgnoredDuringExecution']
  >['nodeSelectorTerms']
>[number];
type NodeRequirement = NonNullable<NodeSelectorTerm['matchExpressions']>[number];

const OPERATORS: Readonly<Record<string, Requirement['operator']>> = {
  In: 'in',
  NotIn: 'notin',
  Exists: 'exists',
  DoesNotExist: '!',
  Gt: 'gt',
  Lt: 'lt',
};

/** nodeSelector and the required node affinity, of which one term must match. */
export function fitsNode(spec: PodSpec, node: Node): boolean {
  if (!matches(fromMap(spec.nodeSelector), node.metadata.labels)) return false;
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return !required || matchesNodeSelector(required, node);
}

/** A NodeSelector (core/v1): any of its terms. No term matches no node. */
export function matchesNodeSelector(
  { nodeSelectorTerms }: { nodeSelectorTerms: readonly NodeSelectorTerm[] },
  node: Node,
): boolean {
  return nodeSelectorTerms.some((term) => matchesTerm(term, node));
}

function matchesTerm({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, node: Node) {
  if (matchExpressions.length === 0 && matchFields.length === 0) return false;
  const fields = { 'metadata.name': node.metadata.name };
  return (
    matches(matchExpressions.map(requirement), node.metadata.labels) &&
    matches(matchFields.map(requirement), fields)
  );
}

function requirement({ key, operator, values = [] }: NodeRequirement): Requirement {
  return { key, operator: OPERATORS[operator] ?? 'exists', values };
}
