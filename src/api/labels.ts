import { labelValue, qualifiedName } from './names.ts';
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

/** The query form of a LabelSelector, as `scale` and tables show it; `<error>` when it means nothing. */
export function formatLabelSelector(selector: LabelSelector): string {
  try {
    return formatSelector(fromLabelSelector(selector));
  } catch (err) {
    if (err instanceof RangeError) return '<error>';
    throw err;
  }
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

/** Reads the query form of a selector (`?labelSelector=`). Throws RangeError in upstream's words. */
export function parseSelector(text: string): Selector {
  const tokens = tokenize(text);
  const out: Requirement[] = [];
  let position = 0;
  const peek = () => tokens[position] ?? '';
  const take = () => tokens[position++] ?? '';
  if (peek() === '') return out;
  for (;;) {
    out.push(readRequirement(peek, take));
    const next = take();
    if (next === '') break;
    if (next !== ',') throw unexpected(next, "',' or 'end of string'");
    if (isSymbol(peek()) && peek() !== '!') throw unexpected(peek(), "identifier after ','");
  }
  return out.sort((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key)));
}

type Reader = () => string;

const SYMBOLS = new Set(['', ',', '(', ')', '=', '==', '!=', '!', '<', '>']);

function isSymbol(token: string): boolean {
  return SYMBOLS.has(token);
}

/** Words and symbols. The empty token at the end stands for the end of the text. */
function tokenize(text: string): string[] {
  return text.match(/==|!=|[=!<>(),]|[^\s=!<>(),]+/g) ?? [];
}

function unexpected(found: string, expected: string): RangeError {
  return new RangeError(`found '${found}', expected: ${expected}`);
}

function readRequirement(peek: Reader, take: Reader): Requirement {
  try {
    return readChecked(peek, take);
  } catch (err) {
    if (!(err instanceof RangeError)) throw err;
    throw new RangeError(`unable to parse requirement: ${err.message}`);
  }
}

function readChecked(peek: Reader, take: Reader): Requirement {
  const absent = peek() === '!';
  if (absent) take();
  const key = take();
  if (isSymbol(key)) throw unexpected(key, 'identifier');
  refuse(qualifiedName(key), '<nil>', key);
  const end = peek() === '' || peek() === ',';
  if (absent) return { key, operator: '!', values: [] };
  if (end) return { key, operator: 'exists', values: [] };
  const operator = readOperator(take());
  const values =
    operator === 'in' || operator === 'notin' ? readList(peek, take) : [readOne(peek, take)];
  return checked({ key, operator, values });
}

const WORDS: Readonly<Record<string, Operator>> = {
  in: 'in',
  notin: 'notin',
  '=': '=',
  '==': '==',
  '!=': '!=',
  '>': 'gt',
  '<': 'lt',
};

function readOperator(token: string): Operator {
  const operator = Object.hasOwn(WORDS, token) ? WORDS[token] : undefined;
  if (!operator) throw unexpected(token, 'in, notin, =, ==, !=, gt, lt');
  return operator;
}

function readOne(peek: Reader, take: Reader): string {
  if (peek() === '' || peek() === ',') return '';
  const value = take();
  if (isSymbol(value)) throw unexpected(value, 'identifier');
  return value;
}

/** `(a,b)`; `(a,,b)` and `()` hold the empty text too. */
function readList(peek: Reader, take: Reader): string[] {
  const open = take();
  if (open !== '(') throw new RangeError(`found '${open}' expected: '('`);
  const values = new Set<string>();
  if (peek() === ')') {
    take();
    return [''];
  }
  let expectValue = true;
  for (;;) {
    const token = take();
    if (token === ',' || token === ')') {
      if (expectValue) values.add('');
      if (token === ')') return [...values].sort();
      expectValue = true;
      continue;
    }
    if (isSymbol(token) || !expectValue) throw unexpected(token, "',', ')' or identifier");
    values.add(token);
    expectValue = false;
  }
}

function checked(requirement: Requirement): Requirement {
  const { operator, values } = requirement;
  if ((operator === 'in' || operator === 'notin') && values.length === 0) {
    throw new RangeError(
      "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
    );
  }
  for (const [index, value] of values.entries()) {
    if ((operator === 'gt' || operator === 'lt') && !INTEGER.test(value)) {
      throw new RangeError(
        `values[${index}]: Invalid value: ${JSON.stringify(value)}: for 'Gt', 'Lt' operators, the value must be an integer`,
      );
    }
    refuse(labelValue(value), `values[${index}][${requirement.key}]`, value);
  }
  return requirement;
}

function refuse(messages: readonly string[], field: string, value: string): void {
  if (messages.length === 0) return;
  throw new RangeError(`${field}: Invalid value: ${JSON.stringify(value)}: ${messages.join('; ')}`);
}
