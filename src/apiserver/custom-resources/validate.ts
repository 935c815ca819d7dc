import {
  duplicate,
  type FieldError,
  invalid,
  notSupported,
  required,
  tooLong,
  tooMany,
} from '../../api/field-errors.ts';
import { isWhole } from '../../util/exact-json.ts';
import { isObject, type JsonObject, jsonEqual, own } from '../../util/json.ts';
import { PatternBudget, PatternBudgetError } from '../../util/linear-regexp.ts';
import { checkFormat } from './formats.ts';
import { type JsonSchema, memberSchema } from './json-schema.ts';

/** A value, what was there before (for ratcheting: what did not change is not judged anew), and where it is. */
export interface Checked {
  readonly value: unknown;
  readonly old?: unknown;
  /** `spec.replicas`; empty at the root. */
  readonly path: string;
}

/** With what the patterns of the whole object may cost. */
interface Judged extends Checked {
  readonly patterns: PatternBudget;
}

/** What the OpenAPI schema finds wrong, in upstream's words (kube-openapi validation). */
export function validateValue(schema: JsonSchema, checked: Checked): FieldError[] {
  try {
    return judge(schema, { ...checked, patterns: new PatternBudget() });
  } catch (err) {
    if (!(err instanceof PatternBudgetError)) throw err;
    return [invalid(checked.path, 'object', err.message)];
  }
}

function judge(schema: JsonSchema, checked: Judged): FieldError[] {
  const { value, old, path } = checked;
  if (value === null && schema.nullable) return [];
  if (old !== undefined && jsonEqual(value, old)) return [];
  const wrongType = checkType(schema, value, path);
  if (wrongType) return [wrongType];
  return [
    ...checkEnum(schema, value, path),
    ...checkCombinations(schema, checked),
    ...(typeof value === 'string' ? checkString(schema, value, checked) : []),
    ...(typeof value === 'number' || typeof value === 'bigint'
      ? checkNumber(schema, value, path)
      : []),
    ...(Array.isArray(value) ? checkArray(schema, value, checked) : []),
    ...(isObject(value) ? checkObject(schema, value, checked) : []),
  ];
}

function checkType(schema: JsonSchema, value: unknown, path: string): FieldError | undefined {
  if (schema['x-kubernetes-int-or-string']) {
    const fits = typeof value === 'string' || isWhole(value);
    return fits ? undefined : typeError(path, 'integer,string', value);
  }
  const { type } = schema;
  if (type === undefined || type === '' || fitsType(type, value)) return undefined;
  return typeError(path, type, value);
}

function fitsType(type: string, value: unknown): boolean {
  switch (type) {
    case 'object':
      return isObject(value);
    case 'array':
      return Array.isArray(value);
    case 'integer':
      return isWhole(value);
    case 'number':
      return typeof value === 'number' || typeof value === 'bigint';
    default:
      return typeof value === type;
  }
}

function typeError(path: string, wanted: string, value: unknown): FieldError {
  const found = jsonType(value);
  const detail = `${inBody(path)} must be of type ${wanted}: ${JSON.stringify(found)}`;
  return { ...invalid(path, found, detail), type: 'FieldValueTypeInvalid' };
}

function jsonType(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (isWhole(value)) return 'integer';
  return typeof value;
}

function inBody(path: string): string {
  return path === '' ? 'in body' : `${path} in body`;
}

function checkEnum(schema: JsonSchema, value: unknown, path: string): FieldError[] {
  if (!schema.enum || schema.enum.some((allowed) => jsonEqual(allowed, value))) return [];
  const supported = schema.enum.map((v) => (typeof v === 'string' ? v : JSON.stringify(v)));
  return [notSupported(path, value, supported)];
}

function checkString(schema: JsonSchema, value: string, checked: Judged): FieldError[] {
  const { path, patterns } = checked;
  const errors: FieldError[] = [];
  const length = [...value].length;
  if (schema.maxLength !== undefined && length > schema.maxLength) {
    errors.push(tooLong(path, schema.maxLength));
  }
  if (schema.minLength !== undefined && length < schema.minLength) {
    const detail = `${inBody(path)} should be at least ${schema.minLength} chars long`;
    errors.push(invalid(path, value, detail));
  }
  if (schema.pattern !== undefined && !patterns.test(schema.pattern, value)) {
    errors.push(invalid(path, value, `${inBody(path)} should match '${schema.pattern}'`));
  }
  if (schema.format !== undefined && !checkFormat(schema.format, value)) {
    const detail = `${inBody(path)} must be of type ${schema.format}: ${JSON.stringify(value)}`;
    errors.push(invalid(path, value, detail));
  }
  return errors;
}

function checkNumber(schema: JsonSchema, value: number | bigint, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { minimum, maximum, multipleOf } = schema;
  const say = (text: string) =>
    errors.push(invalid(path, value, `${inBody(path)} should be ${text}`));
  if (minimum !== undefined && schema.exclusiveMinimum && value <= minimum) {
    say(`greater than ${minimum}`);
  } else if (minimum !== undefined && value < minimum) {
    say(`greater than or equal to ${minimum}`);
  }
  if (maximum !== undefined && schema.exclusiveMaximum && value >= maximum) {
    say(`less than ${maximum}`);
  } else if (maximum !== undefined && value > maximum) say(`less than or equal to ${maximum}`);
  if (multipleOf && !isMultiple(value, multipleOf)) say(`a multiple of ${multipleOf}`);
  return errors;
}

function isMultiple(value: number | bigint, of: number): boolean {
  if (typeof value === 'bigint' && Number.isInteger(of)) return value % BigInt(of) === 0n;
  return Number.isInteger(Number(value) / of);
}

function checkArray(schema: JsonSchema, value: readonly unknown[], checked: Judged): FieldError[] {
  const { path, old, patterns } = checked;
  const errors: FieldError[] = [];
  if (schema.maxItems !== undefined && value.length > schema.maxItems) {
    errors.push(tooMany(path, value.length, schema.maxItems));
  }
  if (schema.minItems !== undefined && value.length < schema.minItems) {
    const detail = `${inBody(path)} should have at least ${schema.minItems} items`;
    errors.push(invalid(path, value.length, detail));
  }
  errors.push(...checkDuplicates(schema, value, path));
  const { items } = schema;
  if (!items) return errors;
  const before = olderItems(schema, old);
  value.forEach((item, i) => {
    const known = before(item);
    const at = { value: item, old: known, path: `${path}[${i}]`, patterns };
    errors.push(...judge(items, at));
  });
  return errors;
}

/** What an item was before, found by its keys: only maps by key can tell. */
export function olderItems(schema: JsonSchema, old: unknown): (item: unknown) => unknown {
  if (!Array.isArray(old) || schema['x-kubernetes-list-type'] !== 'map') return () => undefined;
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const byKey = new Map(old.map((item) => [keyOf(item, keys), item]));
  return (item) => byKey.get(keyOf(item, keys));
}

function keyOf(item: unknown, keys: readonly string[]): string {
  return JSON.stringify(keys.map((key) => (isObject(item) ? (own(item, key) ?? null) : null)));
}

function checkDuplicates(
  schema: JsonSchema,
  value: readonly unknown[],
  path: string,
): FieldError[] {
  const listType = schema['x-kubernetes-list-type'];
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const isMap = listType === 'map';
  if (!isMap && listType !== 'set' && !schema.uniqueItems) return [];
  const seen = new Set<string>();
  return value.flatMap((item, i) => {
    const key = isMap ? keyOf(item, keys) : canonical(item);
    if (!seen.has(key)) {
      seen.add(key);
      return [];
    }
    const shown = isMap && isObject(item) ? pick(item, keys) : item;
    return [duplicate(`${path}[${i}]`, shown)];
  });
}

function pick(item: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(keys.map((key) => [key, own(item, key)]));
}

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, member) =>
    isObject(member) ? Object.fromEntries(Object.entries(member).sort()) : member,
  );
}

function checkObject(schema: JsonSchema, value: JsonObject, checked: Judged): FieldError[] {
  const { path, patterns } = checked;
  const errors: FieldError[] = [];
  const old = isObject(checked.old) ? checked.old : {};
  const count = Object.keys(value).length;
  if (schema.maxProperties !== undefined && count > schema.maxProperties) {
    errors.push(tooMany(path, count, schema.maxProperties));
  }
  if (schema.minProperties !== undefined && count < schema.minProperties) {
    const detail = `${inBody(path)} should have at least ${schema.minProperties} properties`;
    errors.push(invalid(path, count, detail));
  }
  for (const key of schema.required ?? []) {
    if (!Object.hasOwn(value, key)) errors.push(required(below(path, key)));
  }
  for (const key of Object.keys(value)) {
    const member = memberSchema(schema, key);
    if (!member) continue;
    const at = { value: value[key], old: own(old, key), path: below(path, key), patterns };
    errors.push(...judge(member, at));
  }
  return errors;
}

export function below(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

function checkCombinations(schema: JsonSchema, checked: Judged): FieldError[] {
  const { value, path, patterns } = checked;
  const passes = (one: JsonSchema) => judge(one, { value, path, patterns }).length === 0;
  const fail = (detail: string) => [invalid(path, shownValue(value), detail)];
  const name = JSON.stringify(path);
  const errors = (schema.allOf ?? []).flatMap((one) => judge(one, checked));
  if (schema.anyOf && !schema.anyOf.some(passes)) {
    errors.push(...fail(`${name} must validate at least one schema (anyOf)`));
  }
  if (schema.oneOf) {
    const valid = schema.oneOf.filter(passes).length;
    const found = valid === 0 ? 'Found none valid' : `Found ${valid} valid alternatives`;
    if (valid !== 1) {
      errors.push(...fail(`${name} must validate one and only one schema (oneOf). ${found}`));
    }
  }
  if (schema.not && passes(schema.not)) {
    errors.push(...fail(`${name} must not validate the schema (not)`));
  }
  return errors;
}

function shownValue(value: unknown): unknown {
  return isObject(value) ? 'object' : value;
}
