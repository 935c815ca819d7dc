import type { CacheEvent } from './cache-entry.ts';

// Upstream's cache holds between 100 and 102,400 events of a kind; ours is bounded by bytes too.
const MAX_EVENTS = 20_000;
const MAX_BYTES = 32 * 2 ** 20;

/** The latest events of one kind, in order: what a resumed or slow watch reads. */
export class EventRing {
  #events: CacheEvent[] = [];
  #start = 0;
  #bytes = 0;
  /** Every event behind this revision is in the ring. */
  #floor: number;

  constructor(floor: number) {
    this.#floor = floor;
  }

  get floor(): number {
    return this.#floor;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(event: CacheEvent): void {
    this.#events.push(event);
    this.#bytes += event.entry.served.bytes.length;
    while (this.#events.length - this.#start > MAX_EVENTS || this.#bytes > MAX_BYTES) this.#drop();
  }

  /** The events behind `revision`, at most `limit`. Undefined when some of them are gone. */
  after(revision: number, limit: number): CacheEvent[] | undefined {
    if (revision < this.#floor) return undefined;
    let low = this.#start;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#events[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#events.slice(low, low + limit);
  }

  #drop(): void {
    const oldest = this.#events[this.#start];
    if (!oldest) return;
    this.#bytes -= oldest.entry.served.bytes.length;
    this.#floor = oldest.revision;
    this.#start++;
    if (this.#start * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#start);
      this.#start = 0;
    }
  }
}
