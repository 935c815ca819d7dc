import type { Clock } from '../util/clock.ts';
import type { CacheEntry } from './cache-entry.ts';

// What a client needs to fetch its pages, and how many such lists of one kind are remembered.
const LIFE_MS = 60_000;
const MOST = 4;

interface Kept {
  readonly revision: number;
  readonly selection: string;
  readonly entries: readonly CacheEntry[];
  readonly cancel: () => void;
}

/**
 * What the pages of a list are cut from: the entries that its first page saw. They share the objects' bytes with the cache,
 * so that they cost little unless most objects change meanwhile. A list that is not remembered any more is read
 * from the store's history.
 */
export class PageSnapshots {
  readonly #clock: Clock;
  #kept: Kept[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  keep(revision: number, selection: string, entries: readonly CacheEntry[]): void {
    if (this.find(revision, selection)) return;
    const kept: Kept = {
      ...{ revision, selection, entries },
      cancel: this.#clock.after(LIFE_MS, () => this.#forget(kept)),
    };
    this.#kept.push(kept);
    const [oldest] = this.#kept;
    if (oldest && this.#kept.length > MOST) this.#forget(oldest);
  }

  find(revision: number, selection: string): readonly CacheEntry[] | undefined {
    return this.#kept.find((k) => k.revision === revision && k.selection === selection)?.entries;
  }

  #forget(kept: Kept): void {
    kept.cancel();
    this.#kept = this.#kept.filter((other) => other !== kept);
  }
}
