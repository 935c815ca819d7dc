import type { Fractions } from '../../util/exact-json.ts';
import { type JsonObject, own, put } from '../../util/json.ts';

/*
 * Upstream patches the text of an object: a `1.0` of the patch is still written so when the result is read, and no
 * integer. Here, what is patched is data; a symbol stands for such a number while it is copied and moved about.
 */

/** A number stands where its text, whatever it is copied and compared with, must not be taken for another's. */
export type Stand = ReadonlyMap<symbol, string>;

/** Puts a symbol in place of each number of `fractions`; equal texts get the same one. */
export function standIn(fractions: Fractions): Stand {
  const symbols = new Map<string, symbol>();
  for (const [holder, sources] of fractions) {
    for (const [key, source] of sources) {
      const symbol = symbols.get(source) ?? Symbol(source);
      symbols.set(source, symbol);
      put(holder as JsonObject, key, symbol);
    }
  }
  return new Map([...symbols].map(([source, symbol]) => [symbol, source]));
}

/** Puts the numbers back, in place, and tells where they are. */
export function putBack(patched: unknown, stand: Stand): Fractions {
  const fractions = new Map<object, Map<string, string>>();
  const visit = (holder: object) => {
    for (const key of Object.keys(holder)) {
      const value = own(holder as JsonObject, key);
      if (typeof value === 'object' && value !== null) visit(value);
      const source = typeof value === 'symbol' ? stand.get(value) : undefined;
      if (source === undefined) continue;
      put(holder as JsonObject, key, Number(source));
      fractions.set(holder, (fractions.get(holder) ?? new Map()).set(key, source));
    }
  };
  if (typeof patched === 'object' && patched !== null) visit(patched);
  return fractions;
}
