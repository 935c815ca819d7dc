import { isSidecar } from './pods.ts';
import { addQuantities, compareQuantities, parseQuantity, type Quantity } from './quantity.ts';
import type { Container, PodSpec } from './types.ts';

/** Amounts by resource name. */
export type Amounts = Map<string, Quantity>;

type Side = 'requests' | 'limits';

/**
 * What a Pod asks for, or is limited to, in all: containers add up, sidecars with them, other init containers count only
 * where one of them needs more than all that; Pod-level amounts replace the sum; the runtime's overhead comes on top
 * (component-helpers resource.PodRequests and PodLimits).
 */
export function podAmounts(spec: PodSpec, side: Side): Amounts {
  const total = sumOf(spec.containers, side);
  let sidecars: Amounts = new Map();
  const initPeak: Amounts = new Map();
  for (const container of spec.initContainers ?? []) {
    const own = amountsOf(container.resources?.[side]);
    if (isSidecar(container)) {
      add(total, own);
      sidecars = added(sidecars, own);
      raise(initPeak, sidecars);
    } else raise(initPeak, added(sidecars, own));
  }
  raise(total, initPeak);
  for (const [name, amount] of amountsOf(spec.resources?.[side])) total.set(name, amount);
  for (const [name, amount] of amountsOf(spec.overhead)) {
    // An overhead is no limit where there is none.
    if (side === 'requests' || total.has(name)) add(total, new Map([[name, amount]]));
  }
  return total;
}

export function amountsOf(list: Readonly<Record<string, string>> | undefined): Amounts {
  return new Map(Object.entries(list ?? {}).map(([name, text]) => [name, parseQuantity(text)]));
}

/** Adds `more` to `total` in place. */
export function add(total: Amounts, more: ReadonlyMap<string, Quantity>): void {
  for (const [name, amount] of more) {
    const before = total.get(name);
    total.set(name, before ? addQuantities(before, amount) : amount);
  }
}

function added(a: Amounts, b: Amounts): Amounts {
  const sum = new Map(a);
  add(sum, b);
  return sum;
}

function raise(total: Amounts, other: Amounts): void {
  for (const [name, amount] of other) {
    const before = total.get(name);
    if (!before || compareQuantities(before, amount) < 0) total.set(name, amount);
  }
}

function sumOf(containers: readonly Container[], side: Side): Amounts {
  const total: Amounts = new Map();
  for (const { resources } of containers) add(total, amountsOf(resources?.[side]));
  return total;
}
