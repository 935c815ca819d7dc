/**
 * JSON whose whole numbers survive: those beyond 2^53, which a `number` cannot hold, are bigints in memory and digits
 * again in JSON text. Small ones stay numbers, so `===` compares as it should and ordinary objects cost nothing more.
 */

/** Only a text with such a run of digits can hold a whole number that a `number` would round. */
const LONG_RUN = /\d{16}/;
const WHOLE = /^-?\d+$/;
const INT64_MAX = 2n ** 63n - 1n;

/** As JSON.parse, but whole numbers of 64 bits keep every digit. Larger ones are rounded, as Go's decoder rounds them. */
export function parseJson(text: string): unknown {
  return LONG_RUN.test(text) ? JSON.parse(text, exact as Reviver) : JSON.parse(text);
}

type Reviver = (key: string, value: unknown) => unknown;

function exact(_key: string, value: unknown, { source }: { source: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || !WHOLE.test(source)) return value;
  return fitting(BigInt(source)) ?? value;
}

/** A bigint of 64 bits as it is held in memory: a `number` where that is exact. Undefined if it needs more bits. */
export function fitting(whole: bigint): number | bigint | undefined {
  const small = Number(whole);
  if (Number.isSafeInteger(small)) return small;
  return whole <= INT64_MAX && whole >= -INT64_MAX - 1n ? whole : undefined;
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
