import { milliValue, parseQuantity, wholeValue } from '../api/quantity.ts';

// The same few texts (100m, 64Mi, …) come by the million; exact arithmetic once for each is enough.
const MAX_KNOWN = 4096;
const known = new Map<string, number>();

/** CPU in thousandths of a core, everything else in whole units, rounded up. A double is exact to 2^53 (8 PiB). */
export function amountOf(resource: string, quantity: string): number {
  const milli = resource === 'cpu';
  const key = milli ? `m${quantity}` : quantity;
  const before = known.get(key);
  if (before !== undefined) return before;
  const parsed = parseQuantity(quantity);
  const value = milli ? milliValue(parsed) : wholeValue(parsed);
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(key, value);
  return value;
}
