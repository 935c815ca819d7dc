import type { ApiError } from '../api/errors.ts';
import type { KubeObject } from '../api/types.ts';
import type { KeyValue, StorageEvent } from '../storage/storage.ts';
import { atRevision, type CacheEntry, type CacheEvent, createEntry } from './cache-entry.ts';
import { EntryIndexes } from './entry-indexes.ts';
import { EventRing } from './event-ring.ts';
import { indexedValue, type Selection } from './selection.ts';
import { SortedEntries } from './sorted-entries.ts';
import { type Watcher, WatcherIndex } from './watcher-index.ts';

export interface WatchCacheOptions {
  /** `/registry/pods/` */
  readonly prefix: string;
  fieldsOf?: ((object: KubeObject) => Readonly<Record<string, string>>) | undefined;
  /** The object behind stored bytes, if its writer just made it here. */
  parsedOf(stored: Buffer): KubeObject | undefined;
  /** The revision of the first event that is known but not yet applied, for caches that are behind. */
  heldBack?(): number | undefined;
  /** Why what is asked for cannot be told, for caches that do not know all: of one key, or of a namespace. */
  refusal?(of: { key: string } | { namespace: string }): ApiError | undefined;
}

// So many objects are taken apart at a time.
const LOAD_STEP = 200;
// An index is of use when it leaves less than one in so many.
const SELECTIVE = 8;

/** The objects of one stored kind, kept true by the store's events, and the latest of these events. */
export class WatchCache {
  readonly #options: WatchCacheOptions;
  readonly #entries = new SortedEntries();
  readonly #indexes = new EntryIndexes();
  /** Watchers that do not keep up, by their own account. */
  readonly lagging = new Set<Watcher>();
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

  /** How many of them hear of a change of one object. */
  watchersOf(of: { namespace: string; name: string }): number {
    return this.#watchers.interestedIn(of);
  }

  /** Bytes of the events that are kept. */
  get eventBytes(): number {
    return this.#ring.bytes;
  }

  /** How many indexes there are. */
  get indexes(): number {
    return this.#indexes.size;
  }

  /** The objects as of `revision`; replaces what was there. The event loop gets its turn between them. */
  async load(items: readonly KeyValue[], revision: number): Promise<void> {
    const { prefix, fieldsOf, parsedOf } = this.#options;
    const entries: CacheEntry[] = [];
    for (const [index, { key, value: stored, revision: own }] of items.entries()) {
      const source = { key: key.slice(prefix.length), stored, revision: own };
      entries.push(createEntry({ ...source, parsed: parsedOf(stored) }, fieldsOf));
      if (index % LOAD_STEP === LOAD_STEP - 1) await new Promise(setImmediate);
    }
    this.#entries.fill(entries);
    this.#indexes.clear();
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
    this.#indexes.replace(change.previous, change.type === 'DELETED' ? undefined : change.entry);
    this.#newest = change.revision;
    this.#ring.push(change);
    this.#watchers.offer(change);
    // Who lags behind what is known still can never catch up.
    for (const watcher of this.lagging) watcher.forgotten?.(this.#ring.floor);
  }

  get(key: string): CacheEntry | undefined {
    this.refuseUnknown({ key });
    return this.#entries.get(key);
  }

  /** Throws if what is asked for is not known well enough to be told. */
  refuseUnknown(of: { key: string } | { namespace: string }): void {
    const refusal = this.#options.refusal?.(of);
    if (refusal) throw refusal;
  }

  /** A snapshot in the order of keys. */
  slice(namespace: string, after?: string): readonly CacheEntry[] {
    this.refuseUnknown({ namespace });
    return this.#entries.slice(namespace, after);
  }

  /** A snapshot, in order, of at least the entries that a selection is about: by its name, by an index, or all. */
  candidates(selection: Selection): readonly CacheEntry[] {
    const { namespace } = selection;
    const wanted = indexedValue(selection);
    if (!wanted) return this.slice(namespace);
    if (wanted.name === 'metadata.name' && this.#hasKey(namespace, wanted.value)) {
      const entry = this.get(namespace === '' ? wanted.value : `${namespace}/${wanted.value}`);
      return entry ? [entry] : [];
    }
    this.refuseUnknown({ namespace });
    const found = this.#indexes.lookUp(wanted, this.#entries.slice(''));
    // Many are found faster in order than put in order.
    if (found.size * SELECTIVE > this.size) return this.slice(namespace);
    return [...found]
      .filter((entry) => namespace === '' || entry.namespace === namespace)
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** True when a name and this namespace make a whole key. */
  #hasKey(namespace: string, name: string): boolean {
    return namespace !== '' || this.#entries.get(name) !== undefined;
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

  /** How much of what the store has up to `revision` is in here. */
  upTo(revision: number): number {
    const held = this.#options.heldBack?.();
    return held === undefined ? revision : Math.min(revision, held - 1);
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
