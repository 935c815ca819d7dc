import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import { Feed } from './feed.ts';
import type { Batch } from './lmdb/batch.ts';
import { compactTables } from './lmdb/compaction.ts';
import { dumpTables } from './lmdb/dump.ts';
import { Expirer } from './lmdb/expirer.ts';
import { GroupCommit } from './lmdb/group-commit.ts';
import { openTables } from './lmdb/open-tables.ts';
import type { Ownership } from './lmdb/owner.ts';
import type { Head } from './lmdb/records.ts';
import { TableView } from './lmdb/table-view.ts';
import type { Tables } from './lmdb/tables.ts';
import {
  type Dump,
  type KeyValue,
  type ListOptions,
  type ListResult,
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

const REPLAY_STEP = 500;

/** The embedded store. Concurrent writes share one commit, and one flush of the disk (group commit). */
export class LmdbStorage implements Storage {
  readonly #clock: Clock;
  readonly #tables: Tables;
  readonly #ownership: Ownership;
  readonly #commits: GroupCommit;
  readonly #expirer: Expirer;
  readonly #feed = new Feed();
  readonly #closing = new AbortController();

  private constructor(parts: { tables: Tables; ownership: Ownership }, deps: LmdbDeps) {
    const { tables, ownership } = parts;
    this.#clock = deps.clock;
    this.#tables = tables;
    this.#ownership = ownership;
    this.#commits = new GroupCommit(
      { tables, clock: deps.clock },
      { revision: tables.revision, committed: (events) => this.#feed.publish(events) },
    );
    this.#expirer = new Expirer({ tables, commits: this.#commits, ...deps });
  }

  /** Opens or makes the store in the directory `path`. Fails when its data are damaged or another process has it. */
  static async open(path: string, deps: LmdbDeps): Promise<LmdbStorage> {
    try {
      const storage = new LmdbStorage(await openTables(path), deps);
      storage.#expirer.start();
      return storage;
    } catch (err) {
      const message = `Cannot open the store: ${errorMessage(err)}`;
      throw new StorageError('unavailable', message, { cause: err });
    }
  }

  async get(key: string): Promise<KeyValue | undefined> {
    const head = this.#tables.head(key);
    if (!head || head.removed) return undefined;
    const { revision } = head;
    const value = this.#tables.record(revision)?.value;
    return value && { key, value, revision };
  }

  async list(prefix: string, options: ListOptions = {}): Promise<ListResult> {
    const newest = this.#tables.revision;
    const { revision = newest } = options;
    if (revision > newest) throw new StorageError('future', `Revision ${revision} is to come`);
    if (revision < this.#tables.compacted) throw this.#tooOld(revision);
    const view = new TableView(this.#tables, revision);
    try {
      return { revision, ...(await view.page(prefix, options)) };
    } finally {
      view.close();
    }
  }

  create(key: string, value: Buffer, options: Ttl = {}): Promise<number> {
    return this.#commits.run((batch) => {
      const head = batch.head(key);
      if (head && !head.removed) {
        throw new StorageError('exists', `Key exists: ${key}`, { revision: head.revision });
      }
      return this.#append(batch, key, value, options);
    });
  }

  update(key: string, value: Buffer, expected: number, options: Ttl = {}): Promise<number> {
    return this.#commits.run((batch) => {
      expectRevision(key, batch.head(key), expected);
      return this.#append(batch, key, value, options);
    });
  }

  delete(key: string, expected: number): Promise<number> {
    return this.#commits.run((batch) => {
      expectRevision(key, batch.head(key), expected);
      return batch.append(key, undefined, 0);
    });
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
    return compactTables(this.#tables, this.#commits, Math.min(revision, this.#tables.revision));
  }

  async status(): Promise<StorageStatus> {
    const { broken } = this.#commits;
    if (broken) throw broken;
    const { revision, compacted, size, sizeInUse } = this.#tables;
    return { revision, compacted, size, sizeInUse };
  }

  async dump(): Promise<Dump> {
    return dumpTables(this.#tables);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#expirer.stop();
    await this.#commits.close();
    await this.#tables.root.close();
    this.#ownership.release();
  }

  #append(batch: Batch, key: string, value: Buffer, { ttlSeconds }: Ttl): number {
    const expires = ttlSeconds === undefined ? 0 : this.#clock.now() + ttlSeconds * 1000;
    const revision = batch.append(key, value, expires);
    if (expires > 0) this.#expirer.arm(expires);
    return revision;
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

  #tooOld(revision: number): StorageError {
    return new StorageError('compacted', `Revision ${revision} has been compacted`, {
      revision: this.#tables.compacted,
    });
  }
}

function expectRevision(key: string, head: Head | undefined, expected: number): void {
  if (head && !head.removed && head.revision === expected) return;
  const revision = head?.removed ? undefined : head?.revision;
  throw new StorageError('conflict', `Key has changed: ${key}`, { revision });
}
