import type { Environment } from '@marcbachmann/cel-js';
import { definer, namespace } from './define.ts';
import { celEqual, compareCel } from './values.ts';

/** Functions of lists (apiserver cel/library lists.go, cel-go ext sets.go). */
export function addLists(environment: Environment): void {
  const define = definer(environment);
  define('list.isSorted(): bool', (list: unknown[]) =>
    list.every((item, i) => i === 0 || compareCel(list[i - 1], item) <= 0),
  );
  define('list.sum(): dyn', sum);
  define('list.min(): dyn', (list: unknown[]) => extreme(list, 1, 'min'));
  define('list.max(): dyn', (list: unknown[]) => extreme(list, -1, 'max'));
  define('list.indexOf(dyn): int', (list: unknown[], item: unknown) =>
    BigInt(list.findIndex((one) => celEqual(one, item))),
  );
  define('list.lastIndexOf(dyn): int', (list: unknown[], item: unknown) =>
    BigInt(list.findLastIndex((one) => celEqual(one, item))),
  );
  define('list.flatten(): list', (list: unknown[]) => list.flat());
  define('list.distinct(): list', (list: unknown[]) =>
    list.filter((item, i) => list.findIndex((one) => celEqual(one, item)) === i),
  );
  define('list.reverse(): list', (list: unknown[]) => list.toReversed());
  define('list.sort(): list', (list: unknown[]) => list.toSorted(compareCel));
  define('list.slice(int, int): list', (list: unknown[], from: bigint, to: bigint) =>
    list.slice(Number(from), Number(to)),
  );
  const sets = namespace(environment, 'sets');
  define(`${sets}.contains(list, list): bool`, (_: unknown, a: unknown[], b: unknown[]) =>
    covers(a, b),
  );
  define(
    `${sets}.equivalent(list, list): bool`,
    (_: unknown, a: unknown[], b: unknown[]) => covers(a, b) && covers(b, a),
  );
  define(`${sets}.intersects(list, list): bool`, (_: unknown, a: unknown[], b: unknown[]) =>
    b.some((item) => has(a, item)),
  );
}

function covers(list: readonly unknown[], items: readonly unknown[]): boolean {
  return items.every((item) => has(list, item));
}

function has(list: readonly unknown[], item: unknown): boolean {
  return list.some((one) => celEqual(one, item));
}

function sum(list: readonly unknown[]): unknown {
  const isWhole = list.every((item) => typeof item === 'bigint');
  if (isWhole) return list.reduce((total: bigint, item) => total + (item as bigint), 0n);
  return list.reduce((total: number, item) => total + Number(item), 0);
}

function extreme(list: readonly unknown[], sign: 1 | -1, name: string): unknown {
  if (list.length === 0) throw new RangeError(`${name} called on empty list`);
  return list.reduce((best, item) => (compareCel(item, best) * sign < 0 ? item : best));
}
