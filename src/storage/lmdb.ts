import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import { Feed } from './feed.ts';
import { compactTables } from './lmdb/compaction.ts';
import { encodeHead, encodeLog, type Head } from './lmdb/records.ts';
import { Tables } from './lmdb/tables.ts';
import {
  type KeyValue,
  type ListOptions,
  type ListResult,
  prefixEnd,
  type Storage,
  StorageError,
  type StorageEvent,
  type StorageStatus,
  type WatchSink,
} from './storage.ts';

export interface LmdbDeps {
  clock: Clock;
  log: Logger;
}

type Ttl = { ttlSeconds?: number | undefined };
/** A write's result inside its transaction: throwing there would not undo anything. */
type Outcome = { revision: number } | { error: StorageError };

const REPLAY_STEP = 500;
// Expired keys are removed in one go per so many milliseconds, so that a busy store is not woken for each.
const EXPIRY_GRAIN_MS = 5_000;

/** The embedded store. Concurrent writes share one commit, and one flush of the disk (group commit). */
export class LmdbStorage implements Storage {
  readonly #deps: LmdbDeps;
  readonly #tables: Tables;
  readonly #feed = new Feed();
  /** Written, perhaps not yet durable, not yet published. In the order of their revisions. */
  readonly #unpublished: StorageEvent[] = [];
  readonly #closing = new AbortController();
  #revision: number;
  #expiryTimer: { at: number; cancel: () => void } | undefined;

  private constructor(tables: Tables, deps: LmdbDeps) {
    this.#deps = deps;
    this.#tables = tables;
    this.#revision = tables.revision;
  }

  /** Opens or makes the data file in the directory `path`. */
  static open(path: string, deps: LmdbDeps): LmdbStorage {
    let tables: Tables;
    try {
      tables = new Tables(path);
    } catch (err) {
      const message = `Cannot open the data file in ${path}: ${errorMessage(err)}`;
      throw new StorageError('unavailable', message, { cause: err });
    }
    const storage = new LmdbStorage(tables, deps);
    storage.#scheduleExpiry();
    return storage;
  }

  async get(key: string): Promise<KeyValue | undefined> {
    return this.#at(key, this.#tables.head(key), Number.POSITIVE_INFINITY);
  }

  async list(prefix: string, options: ListOptions = {}): Promise<ListResult> {
    const newest = this.#tables.revision;
    const { limit = 0, after, revision = newest } = options;
    if (revision > newest) throw new StorageError('future', `Revision ${revision} is to come`);
    if (revision < this.#tables.compacted) throw this.#tooOld(revision);
    const items: KeyValue[] = [];
    let remaining = 0;
    const end = prefixEnd(prefix);
    for (const key of this.#tables.heads.getKeys({
      start: after ?? prefix,
      exclusiveStart: after !== undefined,
      ...(end === undefined ? {} : { end }),
    })) {
      const found = this.#at(key, this.#tables.head(key), revision);
      if (!found) continue;
      if (limit > 0 && items.length >= limit) remaining++;
      else items.push(found);
    }
    return { items, revision, remaining };
  }

  create(key: string, value: Buffer, options: Ttl = {}): Promise<number> {
    return this.#write(key, (head) =>
      head && !head.removed
        ? { error: new StorageError('exists', `Key exists: ${key}`, { revision: head.revision }) }
        : this.#append(key, value, { head, ...options }),
    );
  }

  update(key: string, value: Buffer, expected: number, options: Ttl = {}): Promise<number> {
    return this.#write(
      key,
      (head) => mismatch(key, head, expected) ?? this.#append(key, value, { head, ...options }),
    );
  }

  delete(key: string, expected: number): Promise<number> {
    return this.#write(
      key,
      (head) => mismatch(key, head, expected) ?? this.#append(key, undefined, { head }),
    );
  }

  async watch(
    prefix: string,
    { after }: { after: number },
    sink: WatchSink,
    signal: AbortSignal,
  ): Promise<void> {
    if (after < this.#tables.compacted) throw this.#tooOld(after);
    let seen = after;
    const ends = AbortSignal.any([signal, this.#closing.signal]);
    while (!ends.aborted) {
      const { events, last } = this.#replay(prefix, seen);
      seen = last;
      if (events.length > 0) sink.events(events);
      if (seen >= this.#tables.revision) break;
      await new Promise(setImmediate);
      if (seen < this.#tables.compacted) throw this.#tooOld(seen);
    }
    await this.#feed.subscribe({ prefix, after: seen, sink }, ends);
  }

  compact(revision: number): Promise<void> {
    return compactTables(this.#tables, Math.min(revision, this.#tables.revision));
  }

  async status(): Promise<StorageStatus> {
    const { mapSize: _, ...stats } = this.#tables.root.getStats() as Record<string, number>;
    const pages = (stats.lastPageNumber ?? 0) + 1;
    return {
      revision: this.#tables.revision,
      compacted: this.#tables.compacted,
      size: pages * (stats.pageSize ?? 4096),
    };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#expiryTimer?.cancel();
    await this.#tables.root.close();
  }

  async #write(key: string, decide: (head: Head | undefined) => Outcome): Promise<number> {
    let outcome: Outcome | undefined;
    try {
      await this.#tables.root.transaction(() => {
        outcome = decide(this.#tables.head(key));
      });
    } catch (err) {
      if (outcome && 'revision' in outcome) this.#forget(outcome.revision);
      throw writeError(key, err);
    }
    if (!outcome) throw new StorageError('unavailable', `Write was not executed: ${key}`);
    if ('error' in outcome) throw outcome.error;
    this.#publish(outcome.revision);
    return outcome.revision;
  }

  /** Within a transaction: gives the write its revision. */
  #append(
    key: string,
    value: Buffer | undefined,
    { head, ttlSeconds }: Ttl & { head: Head | undefined },
  ): Outcome {
    const revision = ++this.#revision;
    const previous = head?.revision ?? 0;
    this.#tables.log.putSync(revision, encodeLog({ key, value, previous }));
    this.#tables.heads.putSync(key, encodeHead({ revision, removed: value === undefined }));
    if (ttlSeconds !== undefined) {
      const at = this.#deps.clock.now() + ttlSeconds * 1000;
      this.#tables.expiries.putSync([at, revision], key);
      this.#armExpiry(at);
    }
    this.#unpublished.push({ key, revision, value });
    return { revision };
  }

  /** Commits are in order: when this write is durable, all before it are. */
  #publish(revision: number): void {
    const later = this.#unpublished.findIndex((e) => e.revision > revision);
    const count = later < 0 ? this.#unpublished.length : later;
    this.#feed.publish(this.#unpublished.splice(0, count));
  }

  /** The commit failed; the revision stays unused. */
  #forget(revision: number): void {
    const at = this.#unpublished.findIndex((e) => e.revision === revision);
    if (at >= 0) this.#unpublished.splice(at, 1);
  }

  /** The value that the key had at `revision`. */
  #at(key: string, head: Head | undefined, revision: number): KeyValue | undefined {
    let at = head?.revision ?? 0;
    while (at > 0) {
      if (at <= revision && at === head?.revision && head.removed) return undefined;
      const record = this.#tables.record(at);
      if (!record) return undefined;
      if (at <= revision) return record.value && { key, value: record.value, revision: at };
      at = record.previous;
    }
    return undefined;
  }

  #replay(prefix: string, after: number): { events: StorageEvent[]; last: number } {
    const events: StorageEvent[] = [];
    let last = after;
    for (const revision of this.#tables.log.getKeys({ start: after + 1, limit: REPLAY_STEP })) {
      last = revision;
      const record = this.#tables.record(revision);
      if (record?.key.startsWith(prefix)) {
        events.push({ key: record.key, revision, value: record.value });
      }
    }
    return { events, last: last === after ? Math.max(after, this.#tables.revision) : last };
  }

  #scheduleExpiry(): void {
    for (const [at] of this.#tables.expiries.getKeys({ limit: 1 })) this.#armExpiry(at);
  }

  #armExpiry(at: number): void {
    if (this.#closing.signal.aborted) return;
    if (this.#expiryTimer && this.#expiryTimer.at <= at) return;
    this.#expiryTimer?.cancel();
    const { clock, log } = this.#deps;
    const cancel = clock.after(Math.max(0, at - clock.now()), () => {
      this.#expiryTimer = undefined;
      this.#expire().catch((err) => log.error({ err }, 'Could not remove expired keys'));
    });
    this.#expiryTimer = { at, cancel };
  }

  async #expire(): Promise<void> {
    const until = this.#deps.clock.now();
    const due = [...this.#tables.expiries.getRange({ end: [until + 1, 0] })];
    await Promise.all(
      due.map(async ({ key: [at, revision], value: key }) => {
        const head = this.#tables.head(key);
        if (head && !head.removed && head.revision === revision) {
          await this.delete(key, revision).catch(() => {}); // somebody wrote it just now
        }
        await this.#tables.expiries.remove([at, revision]);
      }),
    );
    const [next] = this.#tables.expiries.getKeys({ limit: 1 });
    if (next) this.#armExpiry(Math.max(next[0], until + EXPIRY_GRAIN_MS));
  }

  #tooOld(revision: number): StorageError {
    return new StorageError('compacted', `Revision ${revision} has been compacted`, {
      revision: this.#tables.compacted,
    });
  }
}

function mismatch(key: string, head: Head | undefined, expected: number): Outcome | undefined {
  if (head && !head.removed && head.revision === expected) return undefined;
  const revision = head?.removed ? undefined : head?.revision;
  return { error: new StorageError('conflict', `Key has changed: ${key}`, { revision }) };
}

function writeError(key: string, err: unknown): StorageError {
  const message = errorMessage(err);
  const full = /ENOSPC|No space|MDB_MAP_FULL/.test(message);
  return new StorageError(full ? 'no-space' : 'unavailable', `Could not write ${key}: ${message}`, {
    cause: err,
  });
}
