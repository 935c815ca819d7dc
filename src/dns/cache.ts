import type { Clock } from '../util/clock.ts';

interface Entry<T> {
  readonly value: T;
  readonly storedAt: number;
  readonly until: number;
}

/** Remembers values for their time to live, and at most `capacity` of them: the oldest used goes first. */
export class TtlCache<T> {
  readonly #clock: Clock;
  readonly #capacity: number;
  readonly #entries = new Map<string, Entry<T>>();

  constructor(clock: Clock, capacity: number) {
    this.#clock = clock;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The value and how many whole seconds ago it was stored. */
  get(key: string): { value: T; ageSeconds: number } | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    this.#entries.delete(key);
    const now = this.#clock.now();
    if (now >= entry.until) return undefined;
    this.#entries.set(key, entry);
    return { value: entry.value, ageSeconds: Math.floor((now - entry.storedAt) / 1000) };
  }

  set(key: string, value: T, ttlSeconds: number): void {
    this.#entries.delete(key);
    if (ttlSeconds <= 0) return;
    const now = this.#clock.now();
    this.#entries.set(key, { value, storedAt: now, until: now + ttlSeconds * 1000 });
    if (this.#entries.size <= this.#capacity) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}
