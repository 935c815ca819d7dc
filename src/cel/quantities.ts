import type { Environment } from '@marcbachmann/cel-js';
import {
  addQuantities,
  compareQuantities,
  parseQuantity,
  type Quantity,
  quantityOf,
  subtractQuantities,
} from '../api/quantity.ts';
import { definer } from './define.ts';

const NANO = 1_000_000_000n;
const MAX_INT = 2n ** 63n - 1n;
export const QUANTITY_TYPE = 'kubernetes.Quantity';
const TYPE = QUANTITY_TYPE;

class CelQuantity {
  readonly value: Quantity;

  constructor(value: Quantity) {
    this.value = value;
  }
}

/** A quantity as a value of CEL. Throws when it is none. */
export function celQuantity(text: string): unknown {
  return new CelQuantity(parseQuantity(text));
}

/** Quantities (apiserver cel/library quantity.go): exact, whatever their size. */
export function addQuantitiesLibrary(environment: Environment): void {
  environment.registerType(TYPE, CelQuantity);
  const define = definer(environment);
  define('isQuantity(string): bool', isQuantity);
  define(`quantity(string): ${TYPE}`, (text: string) => new CelQuantity(parseQuantity(text)));
  const compared = (name: string, result: string, of: (order: number) => unknown) =>
    define(`${TYPE}.${name}(${TYPE}): ${result}`, (a: CelQuantity, b: CelQuantity) =>
      of(Math.sign(compareQuantities(a.value, b.value))),
    );
  compared('isGreaterThan', 'bool', (order) => order > 0);
  compared('isLessThan', 'bool', (order) => order < 0);
  compared('compareTo', 'int', (order) => BigInt(order));
  define(`${TYPE}.sign(): int`, ({ value: { nanos } }: CelQuantity) => BigInt(signOf(nanos)));
  define(`${TYPE}.isInteger(): bool`, ({ value }: CelQuantity) => wholeOf(value) !== undefined);
  define(`${TYPE}.asInteger(): int`, ({ value }: CelQuantity) => {
    const whole = wholeOf(value);
    if (whole === undefined) throw new RangeError('cannot convert value to integer');
    return whole;
  });
  define(
    `${TYPE}.asApproximateFloat(): double`,
    ({ value: { nanos } }: CelQuantity) => Number(nanos) / Number(NANO),
  );
  for (const [name, act] of [
    ['add', addQuantities],
    ['sub', subtractQuantities],
  ] as const) {
    define(
      `${TYPE}.${name}(${TYPE}): ${TYPE}`,
      (a: CelQuantity, b: CelQuantity) => new CelQuantity(act(a.value, b.value)),
    );
    define(
      `${TYPE}.${name}(int): ${TYPE}`,
      (a: CelQuantity, b: bigint) => new CelQuantity(act(a.value, quantityOf(Number(b)))),
    );
  }
}

function isQuantity(text: string): boolean {
  try {
    parseQuantity(text);
    return true;
  } catch {
    return false;
  }
}

function signOf(nanos: bigint): number {
  if (nanos === 0n) return 0;
  return nanos < 0n ? -1 : 1;
}

function wholeOf({ nanos }: Quantity): bigint | undefined {
  const whole = nanos / NANO;
  return whole * NANO === nanos && whole <= MAX_INT && whole >= -MAX_INT ? whole : undefined;
}
