import { isGone } from '../api/errors.ts';
import type { ObjectKey, ResourceType } from '../api/resource-types.ts';
import type { ObjectMeta, WatchEvent } from '../api/types.ts';
import { type Clock, realClock } from '../util/clock.ts';
import { errnoOf, errorMessage } from '../util/errors.ts';
import { type Logger, silent } from '../util/log.ts';
import type { Client, Informer, InformerHandler, ListOptions, Selection } from './client.ts';
import { Door } from './door.ts';
import { Indexer, keyOf } from './indexer.ts';

/** client-go's reflector: 0.8 s, doubling up to 30 s. */
const BACKOFF_FIRST_MS = 800;
const BACKOFF_MAX_MS = 30_000;
/** Where nobody listens there is nobody to spare, so one watcher soon finds a server that is started again. */
const REFUSED_MAX_MS = 2000;
/** The others wait for that one, but not for ever: its own trouble may be another. */
const PATIENCE_MS = 120_000;

export interface InformerOptions {
  readonly clock?: Clock;
  readonly log?: Logger;
  /** Objects of a list that are fetched at a time. All at once when it is left out: one answer costs the server least. */
  readonly pageSize?: number;
}

export interface TransformingInformerOptions<T> extends InformerOptions {
  /** What is kept of an object, without what no reader needs. `metadata.managedFields` is always dropped. */
  readonly transform?: (object: T) => T;
}

/** Makes an informer; nothing is read before `run`. */
export function createInformer<T>(
  client: Client,
  type: ResourceType<T>,
  selection: Selection = {},
  options: TransformingInformerOptions<T> = {},
): Informer<T> {
  return new SharedInformer(client, type, { selection, ...options });
}

/** List, then watch; keeps an indexed copy and tells handlers what changed. */
class SharedInformer<T> implements Informer<T> {
  readonly type: ResourceType<T>;
  readonly #client: Client;
  readonly #selection: Selection;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #transform: (object: T) => T;
  readonly #pageSize: number | undefined;
  readonly #cache = new Indexer<T>();
  readonly #handlers: InformerHandler<T>[] = [];
  readonly #synced = Promise.withResolvers<void>();
  #isSynced = false;
  /** Where the next watch begins; empty: list first. */
  #revision = '';
  #failures = 0;
  /** By the latest failure nobody listened. */
  #wasRefused = false;
  /** The trouble was told of: its end is told, too. */
  #told = false;

  constructor(
    client: Client,
    type: ResourceType<T>,
    options: TransformingInformerOptions<T> & { selection: Selection },
  ) {
    this.type = type;
    this.#client = client;
    this.#selection = options.selection;
    this.#clock = options.clock ?? realClock;
    this.#log = (options.log ?? silent).child({ resource: type.resource });
    this.#transform = options.transform ?? ((object) => object);
    this.#pageSize = options.pageSize;
  }

  get synced(): boolean {
    return this.#isSynced;
  }

  get revision(): number {
    return Number(this.#revision);
  }

  get(key: ObjectKey): T | undefined {
    return this.#cache.get(key);
  }

  list(namespace?: string): T[] {
    return this.#cache.list(namespace);
  }

  byIndex(index: string, value: string): T[] {
    return this.#cache.byIndex(index, value);
  }

  addIndex(name: string, valuesOf: (object: T) => string[]): void {
    this.#cache.addIndex(name, valuesOf);
  }

  /** A handler added late is told of everything that is already known. */
  addHandler(handler: InformerHandler<T>): void {
    this.#handlers.push(handler);
    for (const object of this.#cache.list()) handler.onAdd?.(object, true);
  }

  async whenSynced(signal: AbortSignal): Promise<void> {
    if (this.#isSynced) return;
    signal.throwIfAborted();
    const stop = Promise.withResolvers<never>();
    const abort = () => stop.reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      await Promise.race([this.#synced.promise, stop.promise]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#revision === '') await this.#relist(signal);
        await this.#follow(signal);
      } catch (err) {
        if (signal.aborted) return;
        await this.#recover(err, signal);
      }
    }
  }

  async #relist(signal: AbortSignal): Promise<void> {
    const initial = !this.#isSynced;
    const gone = new Set(this.#cache.keys());
    let page: ListOptions = { ...this.#selection, limit: this.#pageSize };
    let revision = '';
    for (;;) {
      const { items, metadata } = await this.#client.list(this.type, page, signal);
      for (const object of items) {
        gone.delete(keyOf(object));
        this.#store(object, initial);
      }
      revision = metadata.resourceVersion;
      if (!metadata.continue) break;
      page = { ...page, continue: metadata.continue };
    }
    // Not before the last page: a watch after half a list would never tell of the other half.
    this.#revision = revision;
    for (const key of gone) this.#forget(key);
    this.#isSynced = true;
    this.#synced.resolve();
    this.#succeeded();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const from = this.#clock.now();
    const before = this.#revision;
    const options = { ...this.#selection, resourceVersion: this.#revision };
    for await (const event of this.#client.watch(this.type, options, signal)) {
      this.#succeeded();
      this.#apply(event);
    }
    // A server that ends watches at once must not be asked in a hot loop.
    if (this.#revision === before && this.#clock.now() - from < 1000) {
      throw new Error('Watch ended at once');
    }
  }

  #apply(event: WatchEvent<T>): void {
    const { metadata } = event.object as { metadata: ObjectMeta };
    this.#revision = metadata.resourceVersion ?? this.#revision; // first: handlers ask for it
    if (event.type === 'ADDED' || event.type === 'MODIFIED') this.#store(event.object, false);
    else if (event.type === 'DELETED') this.#forget(keyOf(event.object), event.object);
  }

  #store(told: T, initial: boolean): void {
    const { metadata } = told as { metadata: ObjectMeta };
    delete metadata.managedFields;
    const object = this.#transform(told);
    const before = this.#cache.set(object);
    if (before === undefined) this.#tell((h) => h.onAdd?.(object, initial));
    else if (uidOf(before) !== uidOf(object)) {
      // Another one of the same name, whose beginning and whose predecessor's end were missed.
      this.#tell((h) => h.onDelete?.(before));
      this.#tell((h) => h.onAdd?.(object, initial));
    } else if (revisionOf(before) !== revisionOf(object))
      this.#tell((h) => h.onUpdate?.(before, object));
  }

  /** `last` is the state that the server told at the end; without it, the one last seen. */
  #forget(key: string, last?: T): void {
    const before = this.#cache.delete(key);
    const object = last ?? before;
    if (before !== undefined && object !== undefined) this.#tell((h) => h.onDelete?.(object));
  }

  #tell(call: (handler: InformerHandler<T>) => void): void {
    for (const handler of this.#handlers) {
      try {
        call(handler);
      } catch (err) {
        this.#log.error({ err }, 'Handler of an informer failed');
      }
    }
  }

  #succeeded(): void {
    if (this.#told) {
      this.#log.info({ failures: this.#failures }, 'Watch is back');
      doorOf(this.#client, this.#clock).opened();
    }
    this.#failures = 0;
    this.#told = false;
  }

  /** One line at the first failure; the rest is for `-v 4`. */
  async #recover(err: unknown, signal: AbortSignal): Promise<void> {
    const refused = isRefused(err);
    // A server that has just been started is no longer the one that was away: patience begins anew.
    if (this.#wasRefused && !refused) this.#failures = 0;
    this.#wasRefused = refused;
    if (isGone(err)) {
      this.#revision = '';
      if (this.#failures === 0) {
        this.#failures = 1;
        return; // history is gone: an ordinary event, list at once
      }
    }
    const level = this.#told ? 'debug' : 'warn';
    this.#told = true;
    this.#log[level]({ err: errorMessage(err) }, 'Cannot list or watch; retrying');
    const ceiling = (most: number) => Math.min(most, BACKOFF_FIRST_MS * 2 ** this.#failures);
    const jitter = 0.5 + Math.random() / 2;
    const [knockMs, retryMs] = [ceiling(REFUSED_MAX_MS) * jitter, ceiling(BACKOFF_MAX_MS) * jitter];
    this.#failures = Math.min(this.#failures + 1, 16);
    const door = doorOf(this.#client, this.#clock);
    if (refused) await door.wait(knockMs, PATIENCE_MS * jitter, signal);
    else {
      door.opened(); // somebody is there, though not at his best
      await this.#clock.sleep(retryMs, signal).catch(() => {});
    }
  }
}

/** One for all informers of a client. */
const DOORS = new WeakMap<Client, Door>();

function doorOf(client: Client, clock: Clock): Door {
  const door = DOORS.get(client) ?? new Door(clock);
  DOORS.set(client, door);
  return door;
}

/** Nothing listens on the server's port. */
function isRefused(err: unknown): boolean {
  return err instanceof Error && (errnoOf(err) === 'ECONNREFUSED' || isRefused(err.cause));
}

function uidOf(object: unknown): string | undefined {
  return (object as { metadata: ObjectMeta }).metadata.uid;
}

function revisionOf(object: unknown): string | undefined {
  return (object as { metadata: ObjectMeta }).metadata.resourceVersion;
}
