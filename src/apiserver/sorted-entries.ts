import type { CacheEntry } from './cache-entry.ts';

/**
 * The objects of one kind in the order of their keys. A slice of it is a consistent snapshot: entries never change. All who
 * read the whole between two changes get the same array; the next change copies it.
 */
export class SortedEntries {
  readonly #byKey = new Map<string, CacheEntry>();
  #sorted: CacheEntry[] = [];
  /** Somebody holds `#sorted` as a snapshot. */
  #isShared = false;

  get size(): number {
    return this.#sorted.length;
  }

  get(key: string): CacheEntry | undefined {
    return this.#byKey.get(key);
  }

  /** Fills an empty collection with entries that are in order already. */
  fill(entries: readonly CacheEntry[]): void {
    this.#sorted = [...entries];
    this.#isShared = false;
    this.#byKey.clear();
    for (const entry of entries) this.#byKey.set(entry.key, entry);
  }

  set(entry: CacheEntry): void {
    const sorted = this.#own();
    const at = this.#lowerBound(entry.key);
    if (this.#byKey.has(entry.key)) sorted[at] = entry;
    else sorted.splice(at, 0, entry);
    this.#byKey.set(entry.key, entry);
  }

  delete(key: string): void {
    if (this.#byKey.delete(key)) this.#own().splice(this.#lowerBound(key), 1);
  }

  /** All of them, or one namespace's, from the first key that sorts behind `after`. */
  slice(namespace: string, after = ''): readonly CacheEntry[] {
    if (namespace === '' && after === '') {
      this.#isShared = true;
      return this.#sorted;
    }
    const prefix = namespace === '' ? '' : `${namespace}/`;
    const from = after > prefix ? this.#lowerBound(`${after}\0`) : this.#lowerBound(prefix);
    // '0' is the character behind '/'.
    const to = namespace === '' ? this.#sorted.length : this.#lowerBound(`${namespace}0`);
    return this.#sorted.slice(from, Math.max(from, to));
  }

  #own(): CacheEntry[] {
    if (this.#isShared) this.#sorted = this.#sorted.slice();
    this.#isShared = false;
    return this.#sorted;
  }

  #lowerBound(key: string): number {
    return lowerBound(this.#sorted, key);
  }
}

/** Where in sorted entries the first one is whose key is not before `key`. */
export function lowerBound(sorted: readonly CacheEntry[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const entry = sorted[middle];
    if (entry && entry.key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
