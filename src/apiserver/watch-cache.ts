import type { KubeObject } from '../api/types.ts';
import type { KeyValue, StorageEvent } from '../storage/storage.ts';
import { atRevision, type CacheEntry, type CacheEvent, createEntry } from './cache-entry.ts';
import { EventRing } from './event-ring.ts';
import { SortedEntries } from './sorted-entries.ts';
import { type Watcher, WatcherIndex } from './watcher-index.ts';

export interface WatchCacheOptions {
  /** `/registry/pods/` */
  readonly prefix: string;
  fieldsOf?: ((object: KubeObject) => Readonly<Record<string, string>>) | undefined;
  /** The object behind stored bytes, if its writer just made it here. */
  parsedOf(stored: Buffer): KubeObject | undefined;
}

/** The objects of one stored kind, kept true by the store's events, and the latest of these events. */
export class WatchCache {
  readonly #options: WatchCacheOptions;
  readonly #entries = new SortedEntries();
  readonly #watchers = new WatcherIndex();
  #ring = new EventRing(0);
  /** Events that arrive while the first list is on its way. */
  #early: StorageEvent[] | undefined = [];
  #loadedAt = 0;
  #newest = 0;

  constructor(options: WatchCacheOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  /** The objects as of `revision`; replaces what was there. */
  load(items: readonly KeyValue[], revision: number): void {
    const { prefix, fieldsOf, parsedOf } = this.#options;
    this.#entries.fill(
      items.map(({ key, value: stored, revision }) =>
        createEntry(
          { key: key.slice(prefix.length), stored, revision, parsed: parsedOf(stored) },
          fieldsOf,
        ),
      ),
    );
    this.#ring = new EventRing(revision);
    this.#loadedAt = revision;
    this.#newest = revision;
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const event of early) this.apply(event);
  }

  apply(event: StorageEvent): void {
    if (this.#early) {
      this.#early.push(event);
      return;
    }
    if (event.revision <= this.#loadedAt) return;
    const change = this.#change(event);
    if (!change) return;
    if (change.type === 'DELETED') this.#entries.delete(change.entry.key);
    else this.#entries.set(change.entry);
    this.#newest = change.revision;
    this.#ring.push(change);
    this.#watchers.offer(change);
  }

  get(key: string): CacheEntry | undefined {
    return this.#entries.get(key);
  }

  /** A snapshot in the order of keys. */
  slice(namespace: string, after?: string): CacheEntry[] {
    return this.#entries.slice(namespace, after);
  }

  /** Events behind `revision`; undefined when they are not known any more. */
  eventsAfter(revision: number, limit: number): CacheEvent[] | undefined {
    return this.#ring.after(revision, limit);
  }

  /** Nothing of this kind changed behind `revision`: the state now is the state then. */
  unchangedSince(revision: number): boolean {
    return this.#ring.after(revision, 1)?.length === 0;
  }

  /** The revision of the last change. */
  get newest(): number {
    return this.#newest;
  }

  /** The oldest revision that a watch may start from. */
  get oldest(): number {
    return this.#ring.floor;
  }

  addWatcher(watcher: Watcher): () => void {
    return this.#watchers.add(watcher);
  }

  allWatchers(): Iterable<Watcher> {
    return this.#watchers.all();
  }

  #change(event: StorageEvent): CacheEvent | undefined {
    const { prefix, fieldsOf, parsedOf } = this.#options;
    const key = event.key.slice(prefix.length);
    const { revision, value: stored } = event;
    const previous = this.#entries.get(key);
    if (!stored) {
      if (!previous) return undefined;
      return { type: 'DELETED', revision, entry: atRevision(previous, revision), previous };
    }
    const entry = createEntry({ key, stored, revision, parsed: parsedOf(stored) }, fieldsOf);
    return { type: previous ? 'MODIFIED' : 'ADDED', revision, entry, previous };
  }
}
