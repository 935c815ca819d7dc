import { isIP } from 'node:net';
import { Environment } from '@marcbachmann/cel-js';
import { parseQuantity } from '../api/quantity.ts';
import { errorMessage } from '../util/errors.ts';
import { isObject, put } from '../util/json.ts';
import { linearRegExp } from '../util/linear-regexp.ts';

/** An expression that does not compile. */
export class CelCompileError extends Error {
  override readonly name = 'CelCompileError';
}

/** A compiled expression: throws when it cannot be evaluated on what it is given. */
export type CelProgram = (variables: Readonly<Record<string, unknown>>) => unknown;

const LIMITS = { maxAstNodes: 10_000, maxDepth: 100 };

/** Compiles a CEL expression that may use `variables`, with Kubernetes' own functions. Throws CelCompileError. */
export function compileCel(expression: string, variables: readonly string[]): CelProgram {
  const environment = environmentWith(variables);
  try {
    const program = environment.parse(expression);
    const { valid, error } = program.check();
    if (!valid) throw new Error(errorMessage(error).split('\n')[0] ?? 'invalid expression');
    return (values) => program(values as Record<string, unknown>);
  } catch (err) {
    throw new CelCompileError(`compilation failed: ${errorMessage(err).split('\n')[0]}`, {
      cause: err,
    });
  }
}

const environments = new Map<string, Environment>();

function environmentWith(variables: readonly string[]): Environment {
  const key = variables.join();
  let environment = environments.get(key);
  if (environment === undefined) {
    environment = new Environment({
      unlistedVariablesAreDyn: false,
      homogeneousAggregateLiterals: false,
      enableOptionalTypes: true,
      limits: LIMITS,
    });
    for (const name of variables) environment.registerVariable(name, 'dyn');
    addLibrary(environment);
    environments.set(key, environment);
  }
  return environment;
}

class Quantity {
  readonly value: number;

  constructor(text: string) {
    this.value = quantityOf(text);
  }
}

/** Upstream's additions to CEL (apiserver cel/library): lists, regular expressions, addresses, quantities. */
function addLibrary(environment: Environment): void {
  environment.registerType('kubernetes.Quantity', Quantity);
  const define = (signature: string, handler: (...args: never[]) => unknown) =>
    environment.registerFunction(signature, handler as (...args: unknown[]) => unknown);
  define('list.isSorted(): bool', (list: unknown[]) =>
    list.every((item, i) => i === 0 || order(list[i - 1], item) <= 0),
  );
  define('list.sum(): dyn', (list: unknown[]) => sum(list));
  define('list.min(): dyn', (list: unknown[]) => extreme(list, 1, 'min'));
  define('list.max(): dyn', (list: unknown[]) => extreme(list, -1, 'max'));
  define('list.indexOf(dyn): int', (list: unknown[], item: unknown) => BigInt(list.indexOf(item)));
  define('list.lastIndexOf(dyn): int', (list: unknown[], item: unknown) =>
    BigInt(list.lastIndexOf(item)),
  );
  define(
    'string.find(string): string',
    (text: string, pattern: string) => linearRegExp(pattern).exec(text)?.[0] ?? '',
  );
  define('string.findAll(string): list<string>', (text: string, pattern: string) =>
    [...text.matchAll(new RegExp(linearRegExp(pattern), 'g'))].map(([found]) => found),
  );
  define('string.replace(string, string): string', (text: string, from: string, to: string) =>
    text.replaceAll(from, () => to),
  );
  define('string.charAt(int): string', (text: string, at: bigint) => text.charAt(Number(at)));
  define('isURL(string): bool', (text: string) => URL.canParse(text));
  define('isIP(string): bool', (text: string) => isIP(text) !== 0);
  define('isCIDR(string): bool', isCidr);
  define('isQuantity(string): bool', (text: string) => !Number.isNaN(quantityOf(text, Number.NaN)));
  define('quantity(string): kubernetes.Quantity', (text: string) => new Quantity(text));
  const compared = (name: string, result: string, of: (difference: number) => unknown) =>
    define(
      `kubernetes.Quantity.${name}(kubernetes.Quantity): ${result}`,
      (a: Quantity, b: Quantity) => of(a.value - b.value),
    );
  compared('isGreaterThan', 'bool', (difference) => difference > 0);
  compared('isLessThan', 'bool', (difference) => difference < 0);
  compared('compareTo', 'int', (difference) => BigInt(Math.sign(difference)));
  define('kubernetes.Quantity.sign(): int', (q: Quantity) => BigInt(Math.sign(q.value)));
  define('kubernetes.Quantity.isInteger(): bool', (q: Quantity) => Number.isInteger(q.value));
  define('kubernetes.Quantity.asInteger(): int', (q: Quantity) => BigInt(q.value));
  define('kubernetes.Quantity.asApproximateFloat(): double', (q: Quantity) => q.value);
}

function quantityOf(text: string, otherwise?: number): number {
  try {
    return Number(parseQuantity(text).nanos) / NANOS;
  } catch (err) {
    if (otherwise === undefined) throw err;
    return otherwise;
  }
}

const NANOS = 1e9;

function isCidr(text: string): boolean {
  const [address = '', bits = ''] = text.split('/');
  const width = isIP(address) === 4 ? 32 : 128;
  return isIP(address) !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= width;
}

function order(a: unknown, b: unknown): number {
  if (a === b) return 0;
  return (a as number) < (b as number) ? -1 : 1;
}

function sum(list: readonly unknown[]): unknown {
  const isWhole = list.every((item) => typeof item === 'bigint');
  if (isWhole) return list.reduce((total: bigint, item) => total + (item as bigint), 0n);
  return list.reduce((total: number, item) => total + Number(item), 0);
}

function extreme(list: readonly unknown[], sign: 1 | -1, name: string): unknown {
  if (list.length === 0) throw new RangeError(`${name} called on empty list`);
  return list.reduce((best, item) => (order(item, best) * sign < 0 ? item : best));
}

/** JSON as CEL sees it where no schema tells more: whole numbers are ints. */
export function toCel(value: unknown): unknown {
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(toCel);
  if (!isObject(value)) return value;
  const converted = {};
  for (const key of Object.keys(value)) put(converted, key, toCel(value[key]));
  return converted;
}
