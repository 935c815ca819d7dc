/**
 * Resource quantities (apimachinery api/resource): fixed-point numbers with SI suffixes, exact to a billionth.
 * Finer fractions are rounded up, away from zero, as upstream does.
 */
export interface Quantity {
  /** The value times 10⁹. */
  readonly nanos: bigint;
  /** How it was written, which decides how it is printed. */
  readonly format: QuantityFormat;
}

export type QuantityFormat = 'DecimalSI' | 'BinarySI' | 'DecimalExponent';

const NANO = 1_000_000_000n;

/** Powers of ten of the decimal suffixes. */
const DECIMAL: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const DECIMAL_SUFFIX = new Map(Object.entries(DECIMAL).map(([suffix, power]) => [power, suffix]));
const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

const SHAPE = /^([+-]?)(\d*)(?:\.(\d*))?(?:([KMGTPE]i)|([numkMGTPE])|[eE]([+-]?\d{1,3}))?$/;
const SYNTAX = "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
/** Right characters in the right order: then only the suffix can be wrong. */
const LOOSE = /^[+-]?\d[\d.]{0,62}[eEinumkKMGTP]*[-+]?\d*$/;
/** Longer texts are refused: no quantity needs them, and big integers would pay for them. */
const MAX_LENGTH = 64;
/** Where upstream caps: the largest 64-bit integer. */
const MAX_NANOS = (2n ** 63n - 1n) * NANO;

/** Reads `100m`, `1.5Gi`, `12e6` or a number. Throws RangeError with upstream's message. */
export function parseQuantity(text: string | number): Quantity {
  const source = String(text).trim();
  const parts = source.length > MAX_LENGTH ? null : SHAPE.exec(source);
  const [, sign, whole = '', fraction = '', binary, decimal, exponent] = parts ?? [];
  if (!parts || whole + fraction === '') throw unreadable(source);
  const power = (decimal ? (DECIMAL[decimal] ?? 0) : Number(exponent ?? 0)) + 9 - fraction.length;
  const factor = binary ? 1024n ** BigInt(BINARY.indexOf(binary)) : 1n;
  const size = scaled(BigInt(whole + fraction) * factor, power);
  const format = binary ? 'BinarySI' : exponent === undefined ? 'DecimalSI' : 'DecimalExponent';
  return { nanos: sign === '-' ? -size : size, format };
}

/** `digits` × 10^`power`, at most what upstream can hold. */
function scaled(digits: bigint, power: number): bigint {
  const size = power >= 0 ? digits * 10n ** BigInt(power) : ceilDiv(digits, 10n ** BigInt(-power));
  return size > MAX_NANOS ? MAX_NANOS : size;
}

function unreadable(source: string): RangeError {
  return new RangeError(
    LOOSE.test(source)
      ? "unable to parse quantity's suffix"
      : `quantities must match the regular expression ${SYNTAX}`,
  );
}

/** The canonical text: no fraction, the largest suffix that allows it, `1Gi` for 1024Mi and `500m` for 0.5. */
export function formatQuantity({ nanos, format }: Quantity): string {
  const sign = nanos < 0n ? '-' : '';
  const size = nanos < 0n ? -nanos : nanos;
  if (size === 0n) return '0';
  // Small binary values print as decimal ones: 512 has no shorter binary form, and 0.5 none at all.
  if (format === 'BinarySI' && size >= 1024n * NANO) return sign + formatBinary(size);
  return sign + formatDecimal(size, format === 'DecimalExponent');
}

function formatBinary(size: bigint): string {
  let value = ceilDiv(size, NANO);
  let power = 0;
  while (value % 1024n === 0n && power < BINARY.length - 1) {
    value /= 1024n;
    power += 1;
  }
  return `${value}${BINARY[power]}`;
}

function formatDecimal(size: bigint, exponent: boolean): string {
  let value = size;
  let power = -9;
  while (value % 1000n === 0n && power < 18) {
    value /= 1000n;
    power += 3;
  }
  if (power === 0) return `${value}`;
  return exponent ? `${value}e${power}` : `${value}${DECIMAL_SUFFIX.get(power) ?? ''}`;
}

/** The canonical form of a text: what the server stores and answers. Throws RangeError. */
export function canonicalQuantity(text: string | number): string {
  return formatQuantity(parseQuantity(text));
}

/** Negative, zero or positive as `a` is less than, equal to or greater than `b`. */
export function compareQuantities(a: Quantity, b: Quantity): number {
  if (a.nanos === b.nanos) return 0;
  return a.nanos < b.nanos ? -1 : 1;
}

/** The sum, in the format of `a` unless `a` is zero. */
export function addQuantities(a: Quantity, b: Quantity): Quantity {
  return { nanos: a.nanos + b.nanos, format: a.nanos === 0n ? b.format : a.format };
}

export function subtractQuantities(a: Quantity, b: Quantity): Quantity {
  return { nanos: a.nanos - b.nanos, format: a.nanos === 0n ? b.format : a.format };
}

export const ZERO: Quantity = { nanos: 0n, format: 'DecimalSI' };

/** Thousandths, rounded up: how cpu is counted. */
export function milliValue(quantity: Quantity): number {
  return Number(ceilDiv(quantity.nanos, 1_000_000n));
}

/** The whole number, rounded up: how memory (bytes) and counts are counted. */
export function wholeValue(quantity: Quantity): number {
  return Number(ceilDiv(quantity.nanos, NANO));
}

/** A quantity of so many thousandths: `quantityOfMillis(500)` is `500m`. */
export function quantityOfMillis(millis: number): Quantity {
  return { nanos: BigInt(Math.round(millis)) * 1_000_000n, format: 'DecimalSI' };
}

export function quantityOf(value: number, format: QuantityFormat = 'DecimalSI'): Quantity {
  return { nanos: BigInt(Math.round(value)) * NANO, format };
}

/** Rounds up to whole thousandths, as every stored ResourceList is rounded. */
export function roundUpToMillis(quantity: Quantity): Quantity {
  return { nanos: ceilDiv(quantity.nanos, 1_000_000n) * 1_000_000n, format: quantity.format };
}

/** Division rounded away from zero. */
function ceilDiv(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  if (quotient * divisor === dividend) return quotient;
  return dividend < 0n ? quotient - 1n : quotient + 1n;
}
