import { ApiError } from '../api/errors.ts';
import type { KubeObject } from '../api/types.ts';
import type { KeyValue } from '../storage/storage.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { CacheEntry, CacheEvent } from './cache-entry.ts';
import { ConversionRefused } from './conversion-refused.ts';
import type { ResourceKind } from './resource-kind.ts';
import { encodeForStore, parseObject } from './stored-object.ts';
import { WatchCache, type WatchCacheOptions } from './watch-cache.ts';
import type { WatchScope } from './watcher-index.ts';

/** As many objects are converted with one call. */
const BATCH = 500;
const RETRY_MS = 1000;
const MAX_RETRY_MS = 30_000;

export interface ConvertedCacheDeps {
  readonly base: WatchCache;
  readonly kind: ResourceKind;
  readonly options: WatchCacheOptions;
  readonly clock: Clock;
}

/** An object that the webhook refuses to convert, and its words. */
interface Refused {
  readonly entry: CacheEntry;
  readonly why: ApiError;
}

/**
 * The objects of a kind in a version that only a webhook can make of the stored one: a cache of its own behind that of
 * the stored objects, a conversion later. Its order of events is the store's. While the webhook refuses an object, that
 * one cannot be read, nor can lists and watches that would hold it; everything else goes on.
 */
export class ConvertedCache {
  readonly kind: ResourceKind;
  readonly #deps: ConvertedCacheDeps;
  readonly #cache: WatchCache;
  #loaded = false;
  #queue: CacheEvent[] = [];
  #refused = new Map<string, Refused>();
  /** Whether the webhook is to be asked about refused objects again. */
  #asking: 'no' | 'first' | 'all' = 'no';
  #retryMs = RETRY_MS;
  #working: Promise<void> | undefined;
  #stopFollowing: () => void;
  #stopRetry: () => void = () => {};

  constructor(deps: ConvertedCacheDeps) {
    this.#deps = deps;
    this.kind = deps.kind;
    this.#cache = new WatchCache({
      ...deps.options,
      heldBack: () => this.#queue[0]?.revision,
      refusal: (of) => this.#refusalOf(of),
    });
    this.#stopFollowing = deps.base.addWatcher({
      scope: { namespace: '' },
      offer: (event) => {
        this.#queue.push(event);
        // Whoever reads hears of failures; nobody waits here.
        this.#work().catch((err: unknown) => {
          this.#endWatches(err);
          this.#retryLater();
        });
      },
    });
  }

  /** The cache, with everything that the stored objects' cache has at the time of the call. Rejects if the webhook fails. */
  async caughtUp(): Promise<WatchCache> {
    // Who reads wants to know whether it is still so; one of them tells enough.
    if (this.#asking === 'no') this.#asking = 'first';
    await this.#work();
    return this.#cache;
  }

  close(): void {
    this.#stopFollowing();
    this.#stopRetry();
  }

  #work(): Promise<void> {
    this.#working ??= this.#drain().finally(() => {
      this.#working = undefined;
    });
    return this.#working;
  }

  async #drain(): Promise<void> {
    if (!this.#loaded) await this.#load();
    await this.#takeQueue();
    if (!(await this.#someConvertNow())) return;
    // Watches must have had all events before the state that replaces them is looked at.
    while (this.#queue.length > 0) await this.#takeQueue();
    await this.#load();
    await this.#takeQueue();
  }

  async #takeQueue(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue.slice(0, BATCH);
      const changed = batch.filter(({ type }) => type !== 'DELETED');
      const values = await this.#convert(changed.map(({ entry }) => entry));
      this.#queue.splice(0, batch.length);
      let next = 0;
      for (const event of batch) {
        this.#take(event, event.type === 'DELETED' ? undefined : values[next++]);
      }
    }
  }

  #take({ entry, revision }: CacheEvent, value: Buffer | ApiError | undefined): void {
    if (value instanceof ApiError) {
      this.#refuse({ entry, why: value });
      return;
    }
    this.#refused.delete(entry.key);
    this.#cache.apply({ key: this.#deps.options.prefix + entry.key, value, revision });
  }

  /** Whoever watches the object cannot be told how it is now: as upstream, the watch ends. */
  #refuse(refused: Refused): void {
    const { entry, why } = refused;
    this.#refused.set(entry.key, refused);
    for (const watcher of this.#cache.allWatchers()) {
      if (isAbout(watcher.scope, entry)) watcher.fail?.(why);
    }
    this.#retryLater();
  }

  /** Whoever waits for what cannot be converted would wait as long as the webhook is away: as upstream, the watch ends. */
  #endWatches(err: unknown): void {
    const why = err instanceof ApiError ? err : new ApiError('InternalError', errorMessage(err));
    for (const watcher of this.#cache.allWatchers()) {
      if (this.#queue.some(({ entry }) => isAbout(watcher.scope, entry))) watcher.fail?.(why);
    }
  }

  /** Loads what is stored now. What happens from then on is in the queue. */
  async #load(): Promise<void> {
    const entries = this.#deps.base.slice('');
    const revision = this.#deps.base.newest;
    const items: KeyValue[] = [];
    const refused = new Map<string, Refused>();
    for (let at = 0; at < entries.length; at += BATCH) {
      const step = entries.slice(at, at + BATCH);
      const values = await this.#convert(step);
      for (const [i, entry] of step.entries()) {
        const value = values[i] ?? Buffer.alloc(0);
        const { key, revision } = entry;
        if (value instanceof ApiError) refused.set(key, { entry, why: value });
        else items.push({ key: this.#deps.options.prefix + key, value, revision });
      }
    }
    await this.#cache.load(items, revision);
    this.#refused = refused;
    this.#loaded = true;
    if (refused.size > 0) this.#retryLater();
    else this.#retryMs = RETRY_MS;
  }

  /** The objects in this version, or why there is none. Rejects if the webhook cannot be asked. */
  async #convert(entries: readonly CacheEntry[]): Promise<(Buffer | ApiError)[]> {
    if (entries.length === 0) return [];
    const objects = entries.map(({ served }) => parseObject(served.bytes));
    try {
      return (await convertAll(this.kind, objects)).map(encodeForStore);
    } catch (err) {
      if (!(err instanceof ConversionRefused)) throw err;
      if (entries.length === 1) return [err];
      const half = Math.ceil(entries.length / 2);
      const first = await this.#convert(entries.slice(0, half));
      return [...first, ...(await this.#convert(entries.slice(half)))];
    }
  }

  async #someConvertNow(): Promise<boolean> {
    const asking = this.#asking;
    const [first] = this.#refused.values();
    if (asking === 'no' || !first) return false;
    const again = asking === 'all' ? [...this.#refused.values()] : [first];
    const values = await this.#convert(again.map(({ entry }) => entry));
    this.#asking = 'no';
    const isBetter = values.some((value) => !(value instanceof ApiError));
    if (!isBetter) this.#retryLater();
    return isBetter;
  }

  #refusalOf(of: { key: string } | { namespace: string }): ApiError | undefined {
    if (this.#refused.size === 0) return undefined;
    if ('key' in of) return this.#refused.get(of.key)?.why;
    for (const { entry, why } of this.#refused.values()) {
      if (of.namespace === '' || of.namespace === entry.namespace) return why;
    }
    return undefined;
  }

  #retryLater(): void {
    this.#stopRetry();
    this.#stopRetry = this.#deps.clock.after(this.#retryMs, () => {
      this.#retryMs = Math.min(this.#retryMs * 2, MAX_RETRY_MS);
      this.#asking = 'all';
      this.#work().catch(() => this.#retryLater());
    });
  }
}

function isAbout({ namespace, field }: WatchScope, entry: CacheEntry): boolean {
  if (namespace !== '' && namespace !== entry.namespace) return false;
  return field?.name !== 'metadata.name' || field.value === entry.name;
}

/** The objects in the kind's own version. */
export async function convertAll(kind: ResourceKind, objects: KubeObject[]): Promise<KubeObject[]> {
  return kind.conversion ? kind.conversion.toServed(objects) : objects;
}
