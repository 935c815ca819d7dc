import type { KubeObject } from '../api/types.ts';
import { isStorageError, type Storage, type StorageEvent } from '../storage/storage.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import { ConvertedCache } from './converted-cache.ts';
import { FlushQueue } from './flush-queue.ts';
import type { KindRegistry } from './kind-registry.ts';
import { PageSnapshots } from './page-snapshots.ts';
import type { ResourceKind } from './resource-kind.ts';
import { Turns } from './turns.ts';
import { WatchCache } from './watch-cache.ts';

const ROOT = '/registry/';

// As often as upstream's watch cache asks etcd.
const PROGRESS_MS = 100;
// Of 64 kB: to encrypt these takes a few milliseconds.
const PIECES_PER_TURN = 16;

interface Waiter {
  readonly revision: number;
  resolve(): void;
}

type CachedKind = Pick<ResourceKind, 'storagePrefix' | 'conversion'>;
type FieldsOf = (object: KubeObject) => Readonly<Record<string, string>>;

/**
 * The store as the API server sees it: one watch of everything, which keeps a cache per kind true. A kind's cache is
 * loaded when it is first asked for.
 */
export class State {
  readonly storage: Storage;
  /** Of all watches. */
  readonly flushes: FlushQueue;
  /** Of the pieces in which lists are sent: several per turn of the event loop, however many lists there are. */
  readonly pieces = new Turns(PIECES_PER_TURN);
  readonly #log: Logger;
  readonly #kinds: KindRegistry;
  readonly #caches = new Map<string, WatchCache>();
  readonly #pages = new Map<string, PageSnapshots>();
  /** By storage prefix and version: what webhooks convert. */
  readonly #conversions = new Map<string, ConvertedCache>();
  readonly #loading = new Map<string, Promise<WatchCache>>();
  /** Objects whose stored bytes were just made here, so that the cache need not parse them again. */
  readonly #parsed = new WeakMap<Buffer, KubeObject>();
  readonly #clock: Clock;
  #revision = 0;
  #compacted = 0;
  #ended = false;
  #waiting: Waiter[] = [];
  #stopAsking: (() => void) | undefined;

  constructor(deps: { storage: Storage; kinds: KindRegistry; clock: Clock; log: Logger }) {
    this.#clock = deps.clock;
    this.flushes = new FlushQueue(deps.clock);
    this.#kinds = deps.kinds;
    this.storage = deps.storage;
    this.#log = deps.log;
    deps.kinds.onChange(() => this.#forgetConversions());
  }

  /** Every cache holds everything up to this revision. */
  get revision(): number {
    return this.#revision;
  }

  /** Works until aborted. Resolves `started` as soon as reads are possible. */
  async run(signal: AbortSignal, started: () => void): Promise<void> {
    this.#revision = (await this.storage.status()).revision;
    const sink = {
      events: (batch: readonly StorageEvent[]) => this.#apply(batch),
      progress: (revision: number) => {
        this.#advance(revision);
      },
    };
    const watching = this.storage.watch(ROOT, { after: this.#revision }, sink, signal);
    started();
    try {
      await watching;
    } finally {
      // Nobody tells of writes any more: who waits for one must not wait for ever.
      this.#ended = true;
      for (const { resolve } of this.#waiting.splice(0)) resolve();
    }
  }

  /** Resolves when every cache holds everything that was acknowledged before the call, by whomever. */
  async fresh(): Promise<void> {
    const { storage } = this;
    if (storage.newest) await this.until(await storage.newest());
  }

  /** Resolves when every cache holds everything up to `revision`. At once, when the store is in this process. */
  until(revision: number): Promise<void> | void {
    if (this.#revision >= revision || this.#ended) return;
    this.#askForProgress();
    return new Promise((resolve) => this.#waiting.push({ revision, resolve }));
  }

  /** Like `until`, but answers false when it takes longer than `ms`. */
  async within(revision: number, ms: number): Promise<boolean> {
    if (this.#revision >= revision) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const waiter = { revision, resolve: () => resolve(true) };
    this.#waiting.push(waiter);
    this.#askForProgress();
    const stopTimer = this.#clock.after(ms, () => resolve(false));
    try {
      return await promise;
    } finally {
      stopTimer();
      this.#waiting = this.#waiting.filter((other) => other !== waiter);
    }
  }

  remember(stored: Buffer, object: KubeObject): void {
    this.#parsed.set(stored, object);
  }

  /** How many objects of a kind there are, as far as somebody wanted to know. */
  sizeOf({ storagePrefix }: CachedKind): number | undefined {
    return this.#caches.get(storagePrefix)?.size;
  }

  /** How many watches must be told of a change of one object, in the kind's stored form. */
  watchersOf({ storagePrefix }: CachedKind, of: { namespace: string; name: string }): number {
    return this.#caches.get(storagePrefix)?.watchersOf(of) ?? 0;
  }

  /** The kind's cache, loaded. */
  cache(kind: CachedKind): Promise<WatchCache> | WatchCache {
    if (kind.conversion) return this.#converted(kind as ResourceKind);
    const { storagePrefix } = kind;
    return this.#loading.get(storagePrefix) ?? this.#load(storagePrefix);
  }

  async #converted(kind: ResourceKind): Promise<WatchCache> {
    const { storagePrefix, version, fieldsOf } = kind;
    const base = await this.cache({ storagePrefix });
    const name = `${storagePrefix}/${version}`;
    let known = this.#conversions.get(name);
    if (known?.kind.conversion !== kind.conversion) {
      known?.close();
      const options = { prefix: prefixOf(storagePrefix), fieldsOf, parsedOf: () => undefined };
      known = new ConvertedCache({ base, kind, options, clock: this.#clock });
      this.#conversions.set(name, known);
    }
    return known?.caughtUp() ?? base;
  }

  /** Caches of versions that are no longer served. */
  #forgetConversions(): void {
    for (const [name, { kind }] of this.#conversions) {
      const { group, version, resource, conversion } = kind;
      if (this.#kinds.get(group, version, resource)?.conversion === conversion) continue;
      this.#conversions.get(name)?.close();
      this.#conversions.delete(name);
    }
  }

  /**
   * What came before `revision` is history that is gone: nothing is read there any more, even where it could be, since
   * clients that are told so begin anew instead of going on with what is old.
   */
  forget(revision: number): void {
    this.#compacted = Math.max(this.#compacted, revision);
  }

  isForgotten(revision: number): boolean {
    return revision < this.#compacted;
  }

  /** What the pages of lists of this kind are cut from. */
  pages(kind: CachedKind): PageSnapshots {
    const { storagePrefix, conversion } = kind;
    const name = conversion ? `${storagePrefix}/${(kind as ResourceKind).version}` : storagePrefix;
    let pages = this.#pages.get(name);
    if (!pages) {
      pages = new PageSnapshots(this.#clock);
      this.#pages.set(name, pages);
    }
    return pages;
  }

  caches(): Iterable<[string, WatchCache]> {
    return this.#caches;
  }

  #load(storagePrefix: string): Promise<WatchCache> {
    const prefix = prefixOf(storagePrefix);
    const cache = new WatchCache({
      prefix,
      fieldsOf: this.fieldsOf(storagePrefix),
      parsedOf: (stored) => this.#parsed.get(stored),
    });
    this.#caches.set(storagePrefix, cache);
    const loading = this.storage.list(prefix).then(
      async ({ items, revision }) => {
        await cache.load(items, revision);
        return cache;
      },
      (err: unknown) => {
        this.#caches.delete(storagePrefix);
        this.#loading.delete(storagePrefix);
        this.#log.error({ prefix, err: errorMessage(err) }, 'Could not load objects');
        throw err;
      },
    );
    this.#loading.set(storagePrefix, loading);
    return loading;
  }

  /** The selectable fields under the names of every version that is stored below this prefix. */
  fieldsOf(storagePrefix: string): FieldsOf | undefined {
    const all = this.#kinds
      .all()
      .filter((kind) => kind.storagePrefix === storagePrefix && !kind.conversion);
    const parts = all.flatMap((kind) => (kind.fieldsOf ? [fieldsOfStored(kind)] : []));
    if (parts.length < 2) return parts[0];
    return (object) => Object.assign({}, ...parts.map((fieldsOf) => fieldsOf(object)));
  }

  /** Others' writes may lie outside of what we watch: then only the store can tell that nothing is missing. */
  #askForProgress(): void {
    if (this.#stopAsking || !this.storage.requestProgress) return;
    this.#stopAsking = this.#clock.after(PROGRESS_MS, () => {
      this.#stopAsking = undefined;
      if (this.#waiting.length === 0) return;
      this.storage.requestProgress?.();
      this.#askForProgress();
    });
  }

  #advance(revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
    if (this.#waiting.length === 0) return;
    const [due, rest] = [[] as Waiter[], [] as Waiter[]];
    for (const waiter of this.#waiting) {
      (waiter.revision <= this.#revision ? due : rest).push(waiter);
    }
    this.#waiting = rest;
    for (const { resolve } of due) resolve();
  }

  #apply(batch: readonly StorageEvent[]): void {
    for (const event of batch) {
      this.#cacheOf(event.key)?.apply(event);
      this.#advance(event.revision);
    }
  }

  /** A kind's prefix is one path segment or two: `pods`, `services/specs`, `GROUP/RESOURCE`. */
  #cacheOf(key: string): WatchCache | undefined {
    const first = key.indexOf('/', ROOT.length);
    const cache = this.#caches.get(key.slice(ROOT.length, first));
    if (cache) return cache;
    return this.#caches.get(key.slice(ROOT.length, key.indexOf('/', first + 1)));
  }
}

function fieldsOfStored({ storedAs, fieldsOf }: ResourceKind): FieldsOf {
  return (object) => fieldsOf?.(storedAs ? storedAs.fromStored(object) : object) ?? {};
}

export function prefixOf(storagePrefix: string): string {
  return `${ROOT}${storagePrefix}/`;
}

export const isCompacted = (err: unknown): boolean => isStorageError(err, 'compacted');
