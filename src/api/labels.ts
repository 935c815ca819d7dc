import type { LabelSelector } from './types.ts';

export type Labels = Readonly<Record<string, string>>;

export type Operator = 'in' | 'notin' | '=' | '==' | '!=' | 'exists' | '!' | 'gt' | 'lt';

/** One condition on one label. `values` is empty for `exists` and `!`. */
export interface Requirement {
  readonly key: string;
  readonly operator: Operator;
  readonly values: readonly string[];
}

/** A conjunction of requirements; without any it selects everything. */
export type Selector = readonly Requirement[];

/** A selector that no object matches: what an absent LabelSelector means in most places. */
export const NOTHING: Selector = [{ key: '', operator: 'in', values: [] }];

/** True when labels meet every requirement. An absent label meets `!=`, `notin` and `!`. */
export function matches(selector: Selector, labels: Labels | undefined): boolean {
  return selector.every((requirement) => meets(requirement, labels ?? {}));
}

function meets({ key, operator, values }: Requirement, labels: Labels): boolean {
  const has = Object.hasOwn(labels, key);
  const value = labels[key] ?? '';
  switch (operator) {
    case 'in':
    case '=':
    case '==':
      return has && values.includes(value);
    case 'notin':
    case '!=':
      return !has || !values.includes(value);
    case 'exists':
      return has;
    case '!':
      return !has;
    case 'gt':
    case 'lt':
      return has && compares(operator, value, values[0] ?? '');
  }
}

function compares(operator: 'gt' | 'lt', left: string, right: string): boolean {
  if (!INTEGER.test(left) || !INTEGER.test(right)) return false;
  const [a, b] = [BigInt(left), BigInt(right)];
  return operator === 'gt' ? a > b : a < b;
}

const INTEGER = /^-?\d+$/;

const OPERATORS: Readonly<Record<string, Operator>> = {
  In: 'in',
  NotIn: 'notin',
  Exists: 'exists',
  DoesNotExist: '!',
  Gt: 'gt',
  Lt: 'lt',
};

/**
 * The selector that a LabelSelector means. Absent: nothing; empty: everything. Requirements come in order of their
 * keys, so that equal selectors print alike.
 */
export function fromLabelSelector(selector: LabelSelector | undefined): Selector {
  if (!selector) return NOTHING;
  const out: Requirement[] = [];
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    out.push({ key, operator: '=', values: [value] });
  }
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    const known = OPERATORS[operator];
    if (!known) throw new RangeError(`"${operator}" is not a valid label selector operator`);
    out.push({ key, operator: known, values: [...(values ?? [])].sort() });
  }
  return out.sort((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key)));
}

/** The selector that a plain map (Service, ReplicationController, nodeSelector) means. */
export function fromMap(labels: Labels | undefined): Selector {
  return Object.keys(labels ?? {})
    .sort()
    .map((key) => ({ key, operator: '=', values: [labels?.[key] ?? ''] }));
}

export function selects(selector: LabelSelector | undefined, labels: Labels | undefined): boolean {
  return matches(fromLabelSelector(selector), labels);
}

/** The query form: `app=web,tier in (a,b),!old`. */
export function formatSelector(selector: Selector): string {
  return selector.map(formatRequirement).join(',');
}

/** The query form of a LabelSelector, as `scale` and tables show it. */
export function formatLabelSelector(selector: LabelSelector): string {
  return formatSelector(fromLabelSelector(selector));
}

function formatRequirement({ key, operator, values }: Requirement): string {
  switch (operator) {
    case 'in':
    case 'notin':
      return `${key} ${operator} (${[...values].sort().join(',')})`;
    case 'exists':
      return key;
    case '!':
      return `!${key}`;
    case 'gt':
      return `${key}>${values[0]}`;
    case 'lt':
      return `${key}<${values[0]}`;
    default:
      return `${key}${operator}${values[0] ?? ''}`;
  }
}
