import type { KubeObject } from '../api/types.ts';
import type { Clock } from '../util/clock.ts';
import type { CacheEntry, CacheEvent } from './cache-entry.ts';
import type { ResourceKind } from './resource-kind.ts';
import { encodeForStore, parseObject } from './stored-object.ts';
import { WatchCache, type WatchCacheOptions } from './watch-cache.ts';

/** As many objects are converted with one call. */
const BATCH = 500;
const RETRY_MS = 1000;

export interface ConvertedCacheDeps {
  readonly base: WatchCache;
  readonly kind: ResourceKind;
  readonly options: WatchCacheOptions;
  readonly clock: Clock;
}

/**
 * The objects of a kind in a version that only a webhook can make of the stored one: a cache of its own behind that of
 * the stored objects, a conversion later. Its order of events is the store's.
 */
export class ConvertedCache {
  readonly kind: ResourceKind;
  readonly #deps: ConvertedCacheDeps;
  readonly #cache: WatchCache;
  #loaded = false;
  #queue: CacheEvent[] = [];
  #working: Promise<void> | undefined;
  #stopFollowing: () => void;
  #stopRetry: () => void = () => {};

  constructor(deps: ConvertedCacheDeps) {
    this.#deps = deps;
    this.kind = deps.kind;
    this.#cache = new WatchCache({
      ...deps.options,
      heldBack: () => this.#queue[0]?.revision,
    });
    this.#stopFollowing = deps.base.addWatcher({
      scope: { namespace: '' },
      offer: (event) => {
        this.#queue.push(event);
        // Whoever reads hears of failures; nobody waits here.
        this.#work().catch(() => this.#retryLater());
      },
    });
  }

  /** The cache, with everything that the stored objects' cache has at the time of the call. Rejects if the webhook fails. */
  async caughtUp(): Promise<WatchCache> {
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
    while (this.#queue.length > 0) {
      const batch = this.#queue.slice(0, BATCH);
      const values = await this.#convert(batch.map(({ entry }) => entry));
      this.#queue.splice(0, batch.length);
      for (const [i, { type, entry, revision }] of batch.entries()) {
        const key = this.#deps.options.prefix + entry.key;
        const value = type === 'DELETED' ? undefined : values[i];
        this.#cache.apply({ key, value, revision });
      }
    }
  }

  async #load(): Promise<void> {
    // What happens from now on is in the queue, and is skipped there if the snapshot has it.
    const entries = this.#deps.base.slice('');
    const revision = this.#deps.base.newest;
    const values: Buffer[] = [];
    for (let at = 0; at < entries.length; at += BATCH) {
      values.push(...(await this.#convert(entries.slice(at, at + BATCH))));
    }
    const items = entries.map((entry, i) => ({
      key: this.#deps.options.prefix + entry.key,
      value: values[i] ?? Buffer.alloc(0),
      revision: entry.revision,
    }));
    await this.#cache.load(items, revision);
    this.#loaded = true;
  }

  async #convert(entries: readonly CacheEntry[]): Promise<Buffer[]> {
    const objects = entries.map(({ served }) => parseObject(served.bytes));
    const converted = await convertAll(this.kind, objects);
    return converted.map(encodeForStore);
  }

  #retryLater(): void {
    this.#stopRetry();
    this.#stopRetry = this.#deps.clock.after(RETRY_MS, () => {
      this.#work().catch(() => this.#retryLater());
    });
  }
}

/** The objects in the kind's own version. */
export async function convertAll(kind: ResourceKind, objects: KubeObject[]): Promise<KubeObject[]> {
  return kind.conversion ? kind.conversion.toServed(objects) : objects;
}
