import type { Environment } from '@marcbachmann/cel-js';
import { isObject } from '../util/json.ts';
import { linearRegExp } from '../util/linear-regexp.ts';
import { definer, namespace } from './define.ts';
import { fromCel } from './values.ts';

/** Functions of strings: cel-go's ext.Strings and upstream's regular expressions (apiserver cel/library regex.go). */
export function addStrings(environment: Environment): void {
  const define = definer(environment);
  define(
    'string.find(string): string',
    (text: string, pattern: string) => linearRegExp(pattern).regExp.exec(text)?.[0] ?? '',
  );
  define('string.findAll(string): list<string>', (text: string, pattern: string) =>
    findAll(text, pattern, -1n),
  );
  define('string.findAll(string, int): list<string>', findAll);
  define('string.replace(string, string): string', (text: string, from: string, to: string) =>
    text.replaceAll(from, () => to),
  );
  define('string.replace(string, string, int): string', replaceSome);
  define('string.charAt(int): string', (text: string, at: bigint) => {
    if (at < 0n || at > text.length) throw new RangeError(`index out of range: ${at}`);
    return text.charAt(Number(at));
  });
  define('string.reverse(): string', (text: string) => [...text].reverse().join(''));
  define('string.format(list): string', format);
  const strings = namespace(environment, 'strings');
  define(`${strings}.quote(string): string`, (_: unknown, text: string) => JSON.stringify(text));
}

/** One match takes time in proportion to the text; a thousand of them take a thousand times that. */
const MAX_SEARCH_MS = 500;

function findAll(text: string, pattern: string, limit: bigint): string[] {
  const found: string[] = [];
  const until = performance.now() + MAX_SEARCH_MS;
  for (const [match] of text.matchAll(new RegExp(linearRegExp(pattern).regExp, 'gl'))) {
    if (limit >= 0n && BigInt(found.length) >= limit) break;
    if (performance.now() > until) throw new RangeError(`findAll of '${pattern}' takes too long`);
    found.push(match);
  }
  return found;
}

function replaceSome(text: string, from: string, to: string, limit: bigint): string {
  if (limit < 0n) return text.replaceAll(from, () => to);
  let left = limit;
  return text.replaceAll(from, (found) => {
    left -= 1n;
    return left >= 0n ? to : found;
  });
}

const CLAUSE = /%(?:%|(?:\.(\d{1,3}))?([sdfeboxX]))/g;

/** `'%s is %d'.format([name, size])` (cel-go ext/formatting.go). */
function format(template: string, values: readonly unknown[]): string {
  let next = 0;
  const text = template.replace(CLAUSE, (clause, precision: string | undefined, verb: string) => {
    if (clause === '%%') return '%';
    if (next >= values.length) throw new RangeError(`index ${next} out of range`);
    return formatOne(verb, values[next++], precision === undefined ? 6 : Number(precision));
  });
  if (/%(?!%)/.test(template.replace(CLAUSE, ''))) {
    throw new RangeError(`could not parse formatting clause in ${JSON.stringify(template)}`);
  }
  return text;
}

function formatOne(verb: string, value: unknown, precision: number): string {
  switch (verb) {
    case 's':
    case 'd':
      return shown(value);
    case 'f':
      return Number(value).toFixed(Math.min(precision, 100));
    case 'e':
      return Number(value)
        .toExponential(Math.min(precision, 100))
        .replace(/e([+-])(\d)$/, 'e$10$2');
    case 'b':
      return inBase(value, 2);
    case 'o':
      return inBase(value, 8);
    default: {
      const hex =
        typeof value === 'string' ? Buffer.from(value).toString('hex') : inBase(value, 16);
      return verb === 'X' ? hex.toUpperCase() : hex;
    }
  }
}

function inBase(value: unknown, base: number): string {
  return BigInt(value as bigint).toString(base);
}

function shown(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value instanceof Date) return value.toISOString().replace('.000Z', 'Z');
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`;
  if (isObject(value) && (value instanceof Map || value.constructor === Object))
    return shownMap(value);
  return String(value);
}

function shownMap(value: object): string {
  const entries = Object.entries(fromCel(value) as object).map(
    ([key, member]) => `${key}: ${shown(member)}`,
  );
  return `{${entries.sort().join(', ')}}`;
}
