import { fitting } from '../util/exact-json.ts';
import { isObject, put } from '../util/json.ts';

/** JSON as CEL sees it where no schema tells more: whole numbers are ints. */
export function toCel(value: unknown): unknown {
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(toCel);
  if (!isObject(value)) return value;
  const converted = {};
  for (const key of Object.keys(value)) put(converted, key, toCel(value[key]));
  return converted;
}

/** A result of CEL as JSON: ints become numbers, maps objects. */
export function fromCel(value: unknown): unknown {
  if (typeof value === 'bigint') return fitting(value) ?? Number(value);
  if (Array.isArray(value)) return value.map(fromCel);
  if (value instanceof Set) return [...value].map(fromCel);
  if (typeof value !== 'object' || value === null) return value;
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  const converted = {};
  for (const [key, member] of entries) put(converted, String(key), fromCel(member));
  return converted;
}

/** Order of two values of one type that can be ordered. */
export function compareCel(a: unknown, b: unknown): number {
  if (a === b) return 0;
  return (a as number) < (b as number) ? -1 : 1;
}

/** Equality as CEL's `==`: deep, numbers by value whatever their type. */
export function celEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (isNumber(a) && isNumber(b)) return !(a < b) && !(a > b);
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => celEqual(item, b[i]));
  }
  if (a instanceof Date && b instanceof Date) return a.getTime() === b.getTime();
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && celEqual(a[key], b[key]))
  );
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}
