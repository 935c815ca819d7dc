import { isIP } from 'node:net';
import {
  type FieldError,
  forbidden,
  invalid,
  notSupported,
  required,
} from '../../api/field-errors.ts';
import { validateLabels } from '../../api/metadata-validation.ts';
import { type Check, labelValue, percent, qualifiedName } from '../../api/names.ts';
import { compareQuantities, parseQuantity, ZERO } from '../../api/quantity.ts';
import type { LabelSelector } from '../../api/types.ts';
import { jsonEqual } from '../../util/json.ts';

export const IMMUTABLE = 'field is immutable';
export const NOT_NEGATIVE = 'must be greater than or equal to 0';

/** One Invalid error for each message that the check has for the value. */
export function checked(value: string, check: Check, field: string): FieldError[] {
  return check(value).map((message) => invalid(field, value, message));
}

/** The same for a field that must be there. */
export function requiredAnd(value: string | undefined, check: Check, field: string): FieldError[] {
  return value ? checked(value, check, field) : [required(field)];
}

export function mustBeThere(value: unknown, field: string, detail = ''): FieldError[] {
  const empty = value === undefined || value === '' || (Array.isArray(value) && !value.length);
  return empty ? [required(field, detail)] : [];
}

/** One of the supported words; a missing one is Required. */
export function oneOf(
  value: string | undefined,
  supported: readonly string[],
  field: string,
): FieldError[] {
  if (value === undefined || value === '') return [required(field)];
  return supported.includes(value) ? [] : [notSupported(field, value, supported)];
}

/** One of the supported words, or nothing. */
export function optionalOneOf(
  value: string | undefined,
  supported: readonly string[],
  field: string,
): FieldError[] {
  return value === undefined ? [] : oneOf(value, supported, field);
}

export function notNegative(value: number | undefined, field: string): FieldError[] {
  return value !== undefined && value < 0 ? [invalid(field, value, NOT_NEGATIVE)] : [];
}

export function within(value: number, messages: readonly string[], field: string): FieldError[] {
  return messages.map((message) => invalid(field, value, message));
}

export function immutable(value: unknown, old: unknown, field: string): FieldError[] {
  return jsonEqual(value, old) ? [] : [invalid(field, value, IMMUTABLE)];
}

export function quantityNotNegative(text: string, field: string): FieldError[] {
  const negative = compareQuantities(parseQuantity(text), ZERO) < 0;
  return negative ? [invalid(field, text, NOT_NEGATIVE)] : [];
}

/** A count or a percentage, neither of them negative. */
export function countOrPercent(value: number | string | undefined, field: string): FieldError[] {
  if (value === undefined) return [];
  if (typeof value === 'number') return notNegative(value, field);
  return percent(value).map((message) => invalid(field, value, message));
}

/** A LabelSelector whose keys, operators and values could match something. */
export function validateLabelSelector(
  selector: LabelSelector | undefined,
  field: string,
): FieldError[] {
  return [
    ...validateLabels(selector?.matchLabels, `${field}.matchLabels`),
    ...each(selector?.matchExpressions, `${field}.matchExpressions`, (expression, at) => [
      ...validateOperator(expression, at),
      ...checked(expression.key, qualifiedName, `${at}.key`),
      ...each(expression.values, `${at}.values`, (value, where) =>
        checked(value, labelValue, where),
      ),
    ]),
  ];
}

type Expression = NonNullable<LabelSelector['matchExpressions']>[number];

function validateOperator({ operator, values = [] }: Expression, at: string): FieldError[] {
  switch (operator) {
    case 'In':
    case 'NotIn':
      return values.length === 0
        ? [required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'")]
        : [];
    case 'Exists':
    case 'DoesNotExist':
      return values.length > 0
        ? [
            forbidden(
              `${at}.values`,
              "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
          ]
        : [];
    default:
      return [invalid(`${at}.operator`, operator, 'not a valid selector operator')];
  }
}

/** The errors of each item, whose path is `PATH[INDEX]`. */
export function each<T>(
  items: readonly T[] | undefined,
  path: string,
  check: (item: T, at: string, index: number) => FieldError[],
): FieldError[] {
  return (items ?? []).flatMap((item, index) => check(item, `${path}[${index}]`, index));
}

export function notFound(value: string, field: string): FieldError {
  return { type: 'FieldValueNotFound', field, message: `Not found: ${JSON.stringify(value)}` };
}

/** Duplicates in a list, told by a key; `seen` lets several lists share one set of keys. */
export function repeated<T>(
  items: readonly T[],
  keyOf: (item: T) => string | undefined,
  seen = new Set<string>(),
): Map<number, string> {
  const out = new Map<number, string>();
  for (const [index, item] of items.entries()) {
    const key = keyOf(item);
    if (key === undefined || key === '') continue;
    if (seen.has(key)) out.set(index, key);
    seen.add(key);
  }
  return out;
}

/** An address in the form that RFC 5952 and its IPv4 likes allow. */
export function validateIp(text: string, field: string): FieldError[] {
  if (isIP(text) !== 0 && !text.includes('%')) return [];
  return [invalid(field, text, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)')];
}
