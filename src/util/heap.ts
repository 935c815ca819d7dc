/**
 * A binary heap whose items can be found, replaced and removed by key. The top is an item that no other
 * is `less` than. All changes cost O(log n).
 */
export class KeyedHeap<T> {
  readonly #keyOf: (item: T) => string;
  readonly #less: (a: T, b: T) => boolean;
  readonly #items: T[] = [];
  readonly #places = new Map<string, number>();

  constructor(keyOf: (item: T) => string, less: (a: T, b: T) => boolean) {
    this.#keyOf = keyOf;
    this.#less = less;
  }

  get size(): number {
    return this.#items.length;
  }

  get(key: string): T | undefined {
    const place = this.#places.get(key);
    return place === undefined ? undefined : this.#items[place];
  }

  has(key: string): boolean {
    return this.#places.has(key);
  }

  /** Adds the item, or replaces the one of the same key and restores its order. */
  set(item: T): void {
    const key = this.#keyOf(item);
    const place = this.#places.get(key);
    if (place === undefined) {
      this.#items.push(item);
      this.#places.set(key, this.#items.length - 1);
      this.#up(this.#items.length - 1);
      return;
    }
    this.#items[place] = item;
    this.#down(this.#up(place));
  }

  peek(): T | undefined {
    return this.#items[0];
  }

  pop(): T | undefined {
    const top = this.#items[0];
    if (top !== undefined) this.delete(this.#keyOf(top));
    return top;
  }

  /** Removes the item of that key and answers it. */
  delete(key: string): T | undefined {
    const place = this.#places.get(key);
    if (place === undefined) return undefined;
    const removed = this.#items[place];
    this.#places.delete(key);
    const last = this.#items.pop();
    if (place < this.#items.length && last !== undefined) {
      this.#put(place, last);
      this.#down(this.#up(place));
    }
    return removed;
  }

  /** In no particular order. */
  values(): readonly T[] {
    return this.#items;
  }

  #put(place: number, item: T): void {
    this.#items[place] = item;
    this.#places.set(this.#keyOf(item), place);
  }

  #at(place: number): T {
    return this.#items[place] as T;
  }

  #up(start: number): number {
    let place = start;
    const item = this.#at(place);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!this.#less(item, this.#at(parent))) break;
      this.#put(place, this.#at(parent));
      place = parent;
    }
    if (place !== start) this.#put(place, item);
    return place;
  }

  #down(start: number): void {
    let place = start;
    const item = this.#at(place);
    for (;;) {
      let child = place * 2 + 1;
      if (child >= this.#items.length) break;
      if (child + 1 < this.#items.length && this.#less(this.#at(child + 1), this.#at(child)))
        child++;
      if (!this.#less(this.#at(child), item)) break;
      this.#put(place, this.#at(child));
      place = child;
    }
    if (place !== start) this.#put(place, item);
  }
}
