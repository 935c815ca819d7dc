import type { LabelSelector, Node } from '../api/types.ts';
import type { NodeSelector, NodeSelectorTerm } from './parts.ts';

export type Labels = Readonly<Record<string, string>>;
/** A selector made ready: parsed once, asked for every Pod or node. */
export type LabelMatcher = (labels: Labels) => boolean;

export const MATCH_NOTHING: LabelMatcher = () => false;
export const MATCH_EVERYTHING: LabelMatcher = () => true;

const NO_LABELS: Labels = {};

/** A LabelSelector (meta/v1): absent selects nothing, empty selects everything. */
export function compileLabelSelector(selector: LabelSelector | undefined): LabelMatcher {
  if (!selector) return MATCH_NOTHING;
  const checks: LabelMatcher[] = Object.entries(selector.matchLabels ?? {}).map(
    ([key, value]) =>
      (labels) =>
        labels[key] === value,
  );
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    checks.push(compileRequirement({ key, operator, values: values ?? [] }));
  }
  return all(checks);
}

/** All of `matchLabels`, as `nodeSelector` of a Pod means them. */
export function compileMatchLabels(wanted: Labels): LabelMatcher {
  const entries = Object.entries(wanted);
  return (labels) => entries.every(([key, value]) => labels[key] === value);
}

interface Requirement {
  readonly key: string;
  readonly operator: string;
  readonly values: readonly string[];
}

/** One requirement; an operator that is not known matches nothing. */
function compileRequirement({ key, operator, values }: Requirement): LabelMatcher {
  const set = new Set(values);
  switch (operator) {
    case 'In':
      return (labels) => {
        const value = labels[key];
        return value !== undefined && set.has(value);
      };
    case 'NotIn':
      return (labels) => {
        const value = labels[key];
        return value === undefined || !set.has(value);
      };
    case 'Exists':
      return (labels) => labels[key] !== undefined;
    case 'DoesNotExist':
      return (labels) => labels[key] === undefined;
    case 'Gt':
    case 'Lt':
      return compileComparison(key, operator, values[0]);
    default:
      return MATCH_NOTHING;
  }
}

/** Gt and Lt compare whole numbers; whatever is none does not match. */
function compileComparison(
  key: string,
  operator: 'Gt' | 'Lt',
  text: string | undefined,
): LabelMatcher {
  const bound = wholeNumber(text);
  if (bound === undefined) return MATCH_NOTHING;
  return (labels) => {
    const value = wholeNumber(labels[key]);
    if (value === undefined) return false;
    return operator === 'Gt' ? value > bound : value < bound;
  };
}

function wholeNumber(text: string | undefined): bigint | undefined {
  return text !== undefined && /^[+-]?\d+$/.test(text) ? BigInt(text.replace('+', '')) : undefined;
}

function all(checks: readonly LabelMatcher[]): LabelMatcher {
  const [first, second] = checks;
  if (first === undefined) return MATCH_EVERYTHING;
  if (second === undefined) return first;
  if (checks.length === 2) return (labels) => first(labels) && second(labels);
  return (labels) => checks.every((check) => check(labels));
}

/** A NodeSelector made ready. */
export type NodeMatcher = (node: Node) => boolean;

/** A NodeSelector (core/v1): any of its terms. No term matches no node. */
export function compileNodeSelector(selector: NodeSelector): NodeMatcher {
  const terms = selector.nodeSelectorTerms.map(compileNodeSelectorTerm);
  return (node) => terms.some((term) => term(node));
}

/** All requirements of a term; an empty term matches no node. */
export function compileNodeSelectorTerm(term: NodeSelectorTerm): NodeMatcher {
  const expressions = (term.matchExpressions ?? []).map((e) =>
    compileRequirement({ ...e, values: e.values ?? [] }),
  );
  const fields = (term.matchFields ?? []).map((e) =>
    compileRequirement({ ...e, values: e.values ?? [] }),
  );
  if (expressions.length + fields.length === 0) return () => false;
  return (node) => {
    const labels = node.metadata.labels ?? NO_LABELS;
    if (!expressions.every((matches) => matches(labels))) return false;
    if (fields.length === 0) return true;
    const own = { 'metadata.name': node.metadata.name };
    return fields.every((matches) => matches(own));
  };
}

/** The node names that `matchFields` of every term restrict to, if each term names some. */
export function namedNodes(selector: NodeSelector): Set<string> | undefined {
  const names = new Set<string>();
  for (const term of selector.nodeSelectorTerms) {
    const byName = (term.matchFields ?? []).filter(
      (e) => e.key === 'metadata.name' && e.operator === 'In',
    );
    if (byName.length === 0) return undefined;
    const shared = (byName[0]?.values ?? []).filter((name) =>
      byName.every((e) => e.values?.includes(name)),
    );
    for (const name of shared) names.add(name);
  }
  return names;
}
