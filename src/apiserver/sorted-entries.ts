import type { CacheEntry } from './cache-entry.ts';

/** The objects of one kind in the order of their keys. A slice of it is a consistent snapshot: entries never change. */
export class SortedEntries {
  readonly #byKey = new Map<string, CacheEntry>();
  #sorted: CacheEntry[] = [];

  get size(): number {
    return this.#sorted.length;
  }

  get(key: string): CacheEntry | undefined {
    return this.#byKey.get(key);
  }

  /** Fills an empty collection with entries that are in order already. */
  fill(entries: readonly CacheEntry[]): void {
    this.#sorted = [...entries];
    this.#byKey.clear();
    for (const entry of entries) this.#byKey.set(entry.key, entry);
  }

  set(entry: CacheEntry): void {
    const at = this.#lowerBound(entry.key);
    if (this.#byKey.has(entry.key)) this.#sorted[at] = entry;
    else this.#sorted.splice(at, 0, entry);
    this.#byKey.set(entry.key, entry);
  }

  delete(key: string): void {
    if (this.#byKey.delete(key)) this.#sorted.splice(this.#lowerBound(key), 1);
  }

  /** All of them, or one namespace's, from the first key that sorts behind `after`. */
  slice(namespace: string, after = ''): CacheEntry[] {
    const prefix = namespace === '' ? '' : `${namespace}/`;
    const from = after > prefix ? this.#lowerBound(`${after}\0`) : this.#lowerBound(prefix);
    // '0' is the character behind '/'.
    const to = namespace === '' ? this.#sorted.length : this.#lowerBound(`${namespace}0`);
    return this.#sorted.slice(from, Math.max(from, to));
  }

  #lowerBound(key: string): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = this.#sorted[middle];
      if (entry && entry.key < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
