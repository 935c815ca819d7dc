/**
 * JSON whose whole numbers survive: those beyond 2^53, which a `number` cannot hold, are bigints in memory and digits
 * again in JSON text. Small ones stay numbers, so `===` compares as it should and ordinary objects cost nothing more.
 */

/** Only a text with such a run of digits can hold a whole number that a `number` would round. */
const LONG_RUN = 16;
const WHOLE = /^-?\d+$/;
const INT64_MAX = 2n ** 63n - 1n;

/** As JSON.parse, but whole numbers of 64 bits keep every digit. Larger ones are rounded, as Go's decoder rounds them. */
export function parseJson(text: string): unknown {
  return hasLongRun(text) ? JSON.parse(text, exact as Reviver) : JSON.parse(text);
}

/** Looks at one character in sixteen, since a long run cannot lie between two of them. */
function hasLongRun(text: string): boolean {
  for (let at = LONG_RUN - 1; at < text.length; at += LONG_RUN) {
    if (isDigit(text, at) && runAt(text, at) >= LONG_RUN) return true;
  }
  return false;
}

function runAt(text: string, at: number): number {
  let start = at;
  while (isDigit(text, start - 1)) start--;
  let end = at;
  while (isDigit(text, end + 1)) end++;
  return end - start + 1;
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0x30 && code <= 0x39;
}

type Reviver = (key: string, value: unknown) => unknown;

function exact(_key: string, value: unknown, { source }: { source: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || !WHOLE.test(source)) return value;
  return fitting(BigInt(source)) ?? value;
}

/** How whole numbers are written that are not written as such: `1.0` and `1e3`, by the object or list that holds them. */
export type Fractions = ReadonlyMap<object, ReadonlyMap<string, string>>;

/** Only a text with such a number needs to be looked at again. */
const FRACTION = /[:,[]\s*-?\d+(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+)\s*[,}\]]/;

/** As `parseJson`, noting whole numbers that are not written as such: `1.0`, `1e3`. Costs little where there are none. */
export function parseNoting(text: string): { value: unknown; fractions?: Fractions } {
  if (!FRACTION.test(text)) return { value: parseJson(text) };
  const fractions = new Map<object, Map<string, string>>();
  const note: Noting = function (key, value, { source }) {
    if (Number.isInteger(value) && !WHOLE.test(source)) {
      const known = fractions.get(this) ?? new Map<string, string>();
      fractions.set(this, known.set(key, source));
    }
    return exact(key, value, { source });
  };
  return { value: JSON.parse(text, note as Reviver), fractions };
}

type Noting = (this: object, key: string, value: unknown, context: { source: string }) => unknown;

/** A bigint of 64 bits as it is held in memory: a `number` where that is exact. Undefined if it needs more bits. */
export function fitting(whole: bigint): number | bigint | undefined {
  const small = Number(whole);
  if (Number.isSafeInteger(small)) return small;
  return whole <= INT64_MAX && whole >= -INT64_MAX - 1n ? whole : undefined;
}

/** To calculate with: a bigint mixes with no number, and no sum needs its last digits. */
export function inexact(whole: number | bigint): number {
  return Number(whole);
}

/** True for whole numbers in both of their forms. */
export function isWhole(value: unknown): value is number | bigint {
  return typeof value === 'bigint' || Number.isInteger(value);
}

// JSON.stringify refuses bigints unless they say what they are in JSON; nothing else does so in these processes.
Object.defineProperty(BigInt.prototype, 'toJSON', {
  configurable: true,
  writable: true,
  value(this: bigint): unknown {
    return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(this.toString());
  },
});
