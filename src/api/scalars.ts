import { isWhole } from '../util/exact-json.ts';
import { canonicalQuantity } from './quantity.ts';
import type { TypeRef } from './schema.ts';

export type ScalarKind = Exclude<TypeRef['kind'], 'array' | 'map' | 'object' | 'any'>;

/** What Go calls each type in its decoding errors. */
export const GO_TYPES: Readonly<Record<ScalarKind | 'any', string>> = {
  string: 'string',
  boolean: 'bool',
  int32: 'int32',
  int64: 'int64',
  double: 'float64',
  bytes: '[]uint8',
  intOrString: 'intstr.IntOrString',
  quantity: 'resource.Quantity',
  time: 'time.Time',
  microTime: 'time.Time',
  any: 'interface {}',
};

/** `problem` is `type` when the value has the wrong JSON type, else a message of its own. */
export interface ScalarResult {
  readonly decoded?: string | number | bigint | boolean;
  readonly problem?: string;
}

const WRONG: ScalarResult = { problem: 'type' };

/** Checks a scalar and brings quantities, times and base64 into the form that the server stores. */
export function decodeScalar(value: unknown, kind: ScalarKind): ScalarResult {
  switch (kind) {
    case 'string':
      return typeof value === 'string' ? { decoded: value } : WRONG;
    case 'boolean':
      return typeof value === 'boolean' ? { decoded: value } : WRONG;
    case 'int32':
    case 'int64':
      return isIntegerOf(value, kind) ? { decoded: value } : WRONG;
    case 'double':
      return isNumber(value) ? { decoded: Number(value) } : WRONG;
    case 'intOrString':
      return decodeIntOrString(value);
    case 'bytes':
      return typeof value === 'string' ? decodeBytes(value) : WRONG;
    case 'quantity':
      return decodeQuantity(value);
    case 'time':
    case 'microTime':
      return typeof value === 'string' ? decodeTime(value, kind) : WRONG;
  }
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

const INT32_MAX = 2 ** 31 - 1;

function isIntegerOf(value: unknown, kind: 'int32' | 'int64'): value is number | bigint {
  if (!isWhole(value)) return false;
  if (typeof value === 'bigint') return kind === 'int64';
  const max = kind === 'int32' ? INT32_MAX : 2 ** 63 - 1024;
  return value <= max && value >= -max - 1;
}

function decodeIntOrString(value: unknown): ScalarResult {
  if (typeof value === 'string' || isIntegerOf(value, 'int32')) return { decoded: value };
  const type = isNumber(value) ? 'int32' : 'string';
  return { problem: `json: cannot unmarshal ${shown(value)} into Go value of type ${type}` };
}

function decodeQuantity(value: unknown): ScalarResult {
  if (typeof value !== 'string' && !isNumber(value)) {
    return {
      problem:
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    };
  }
  try {
    return { decoded: canonicalQuantity(typeof value === 'bigint' ? String(value) : value) };
  } catch (err) {
    return { problem: err instanceof Error ? err.message : String(err) };
  }
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const NOT_BASE64 = /[^A-Za-z0-9+/=]/;

function decodeBytes(text: string): ScalarResult {
  // Line breaks are allowed inside, and gone afterwards.
  const compact = /[\r\n]/.test(text) ? text.replace(/[\r\n]/g, '') : text;
  if (BASE64.test(compact)) return { decoded: compact };
  const at = NOT_BASE64.exec(text)?.index ?? Math.max(0, text.length - (text.length % 4 || 4));
  return { problem: `illegal base64 data at input byte ${at}` };
}

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
const GO_LAYOUT = {
  time: '2006-01-02T15:04:05Z07:00',
  microTime: '2006-01-02T15:04:05.000000Z07:00',
};

/** RFC 3339 in UTC, with seconds or microseconds. */
function decodeTime(text: string, kind: 'time' | 'microTime'): ScalarResult {
  if (text === '') return {};
  const parts = RFC3339.exec(text);
  const millis = parts ? Date.parse(text) : Number.NaN;
  if (!parts || Number.isNaN(millis)) {
    const layout = GO_LAYOUT[kind];
    return { problem: `parsing time "${text}" as "${layout}": cannot parse "${text}" as "2006"` };
  }
  const seconds = new Date(millis).toISOString().slice(0, 19);
  if (kind === 'time') return { decoded: `${seconds}Z` };
  return { decoded: `${seconds}.${(parts[7] ?? '.').slice(1, 7).padEnd(6, '0')}Z` };
}

/** A value as Go's decoder names it: `string`, `number 1.5`, `object`, `array`, `bool`. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (isNumber(value)) return `number ${value}`;
  if (typeof value === 'boolean') return 'bool';
  return value === null ? 'null' : typeof value;
}

/** What Go's decoder makes of a JSON value that it has no type for: `int64`, `float64`, `map`, `slice`, `bool`. */
export function goKind(value: unknown): string {
  if (Array.isArray(value)) return 'slice';
  if (isNumber(value)) return isWhole(value) ? 'int64' : 'float64';
  if (typeof value === 'boolean') return 'bool';
  return typeof value === 'string' ? 'string' : 'map';
}

/** A JSON value as Go's `%+v` prints it. */
export function goText(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`;
  if (typeof value !== 'object') return String(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${members.map(([key, member]) => `${key}:${goText(member)}`).join(' ')}]`;
}
