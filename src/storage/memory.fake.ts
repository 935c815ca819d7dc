import type { Clock } from '../util/clock.ts';
import { Feed } from './feed.ts';
import {
  type Dump,
  type DumpItem,
  type KeyValue,
  type ListOptions,
  type ListResult,
  type Storage,
  StorageError,
  type StorageEvent,
  type StorageStatus,
  type WatchSink,
} from './storage.ts';

type Ttl = { ttlSeconds?: number | undefined };

/** The reference implementation of Storage: a log of events in memory. For tests; forgets everything when it ends. */
export class MemoryStorage implements Storage {
  readonly #clock: Clock;
  readonly #state = new Map<string, KeyValue>();
  readonly #log: StorageEvent[] = [];
  readonly #feed = new Feed();
  /** Revision → when its key vanishes. */
  readonly #expiries = new Map<number, number>();
  #revision = 0;
  #compacted = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async get(key: string): Promise<KeyValue | undefined> {
    return this.#state.get(key);
  }

  async list(prefix: string, options: ListOptions = {}): Promise<ListResult> {
    const { limit = 0, after = '', revision = this.#revision } = options;
    if (revision < this.#compacted) throw this.#tooOld();
    if (revision > this.#revision) throw new StorageError('future', 'Revision is in the future');
    const all = [...this.#at(revision).values()]
      .filter((kv) => kv.key.startsWith(prefix) && kv.key > after)
      .sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
    const items = limit > 0 ? all.slice(0, limit) : all;
    return { items, revision, remaining: all.length - items.length };
  }

  async create(key: string, value: Buffer, options: Ttl = {}): Promise<number> {
    if (this.#state.has(key)) throw new StorageError('exists', `Key exists: ${key}`);
    return this.#put(key, value, options);
  }

  async update(key: string, value: Buffer, expected: number, options: Ttl = {}): Promise<number> {
    this.#expect(key, expected);
    return this.#put(key, value, options);
  }

  async delete(key: string, expected: number): Promise<number> {
    this.#expect(key, expected);
    return this.#append(key, undefined);
  }

  watch(
    prefix: string,
    { after }: { after: number },
    sink: WatchSink,
    signal: AbortSignal,
  ): Promise<void> {
    if (after < this.#compacted) return Promise.reject(this.#tooOld());
    const missed = this.#log.filter((e) => e.revision > after && e.key.startsWith(prefix));
    if (missed.length > 0) sink.events(missed);
    return this.#feed.subscribe({ prefix, after: Math.max(after, this.#revision), sink }, signal);
  }

  async compact(revision: number): Promise<void> {
    this.#compacted = Math.max(this.#compacted, Math.min(revision, this.#revision));
  }

  async status(): Promise<StorageStatus> {
    return { revision: this.#revision, compacted: this.#compacted, size: 0, sizeInUse: 0 };
  }

  async dump(): Promise<Dump> {
    const all = [...this.#state.values()];
    const expiries = this.#expiries;
    async function* items(): AsyncGenerator<DumpItem> {
      for (const kv of all) yield { ...kv, expires: expiries.get(kv.revision) ?? 0 };
    }
    return { revision: this.#revision, items: items() };
  }

  async close(): Promise<void> {}

  /** Replays the log, which is never shortened: this is a fake. */
  #at(revision: number): Map<string, KeyValue> {
    if (revision === this.#revision) return this.#state;
    const state = new Map<string, KeyValue>();
    for (const { key, value, revision: at } of this.#log) {
      if (at > revision) break;
      if (value) state.set(key, { key, value, revision: at });
      else state.delete(key);
    }
    return state;
  }

  #expect(key: string, expected: number): void {
    const found = this.#state.get(key)?.revision;
    if (found !== expected) {
      throw new StorageError('conflict', `Key has changed: ${key}`, { revision: found });
    }
  }

  #put(key: string, value: Buffer, { ttlSeconds }: Ttl): number {
    const revision = this.#append(key, value);
    if (ttlSeconds !== undefined) {
      this.#expiries.set(revision, this.#clock.now() + ttlSeconds * 1000);
      this.#clock.after(ttlSeconds * 1000, () => {
        if (this.#state.get(key)?.revision === revision) this.#append(key, undefined);
      });
    }
    return revision;
  }

  #append(key: string, value: Buffer | undefined): number {
    const event = { key, value, revision: ++this.#revision };
    if (value) this.#state.set(key, { key, value, revision: event.revision });
    else this.#state.delete(key);
    this.#log.push(event);
    this.#feed.publish([event]);
    return event.revision;
  }

  #tooOld(): StorageError {
    return new StorageError('compacted', 'Revision has been compacted', {
      revision: this.#compacted,
    });
  }
}
