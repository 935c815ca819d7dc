import type { Clock } from '../util/clock.ts';
import { EtcdConnection, type EtcdOptions } from './etcd/connection.ts';
import { translate } from './etcd/errors.ts';
import { Leases } from './etcd/leases.ts';
import type { EtcdKeyValue, RangeResponse, StatusResponse, TxnResponse } from './etcd/messages.ts';
import { OFFSET_KEY, PROGRESS_KEY, RevisionOffset } from './etcd/revision-offset.ts';
import { EtcdWatch } from './etcd/watch.ts';
import {
  type Dump,
  type DumpItem,
  type KeyValue,
  type ListOptions,
  type ListResult,
  prefixEnd,
  type Storage,
  StorageError,
  type StorageStatus,
  type WatchSink,
} from './storage.ts';

type Ttl = { ttlSeconds?: number | undefined };

export type { EtcdOptions };

const PAGE = 1000;
/** The end of a range without end, in etcd's words. */
const NO_END = Buffer.from([0]);

/** A real etcd cluster, with upstream's keys: an upstream API server can open the same data. */
export class EtcdStorage implements Storage {
  readonly #connection: EtcdConnection;
  readonly #clock: Clock;
  readonly #leases: Leases;
  readonly #offset: RevisionOffset;
  readonly #closing = new AbortController();
  /** What we compacted or were told of; etcd itself does not say. */
  #compacted = 0;
  #asking: Promise<number> | undefined;
  #marking: Promise<unknown> | undefined;

  constructor(options: EtcdOptions, deps: { clock: Clock }) {
    this.#connection = new EtcdConnection(options);
    this.#clock = deps.clock;
    this.#leases = new Leases({ connection: this.#connection, clock: deps.clock });
    this.#offset = new RevisionOffset(this.#connection);
  }

  async get(key: string): Promise<KeyValue | undefined> {
    const offset = await this.#offset.get();
    const { kvs } = await this.#read({ key: Buffer.from(key) });
    return kvs[0] && keyValue(kvs[0], offset);
  }

  async list(prefix: string, options: ListOptions = {}): Promise<ListResult> {
    const { limit = 0, after } = options;
    const offset = await this.#offset.get();
    const rangeEnd = endOf(prefix);
    const items: KeyValue[] = [];
    let revision = options.revision === undefined ? 0 : this.#past(options.revision, offset);
    let start = after === undefined ? prefix : `${after}\0`;
    for (;;) {
      const left = limit > 0 ? limit - items.length : PAGE;
      const page = { key: Buffer.from(start), rangeEnd, limit: Math.min(left, PAGE), revision };
      const response = await this.#read(page);
      revision ||= response.header.revision;
      for (const kv of response.kvs) items.push(keyValue(kv, offset));
      const last = items.at(-1);
      if (!response.more || !last || (limit > 0 && items.length >= limit)) {
        const remaining = response.count - response.kvs.length;
        return { items, revision: revision + offset, remaining };
      }
      start = `${last.key}\0`;
    }
  }

  async create(key: string, value: Buffer, options: Ttl = {}): Promise<number> {
    const { revision, found } = await this.#swap(key, 0, await this.#put(key, value, options));
    if (revision !== undefined) return revision;
    throw new StorageError('exists', `Key exists: ${key}`, { revision: found });
  }

  async update(key: string, value: Buffer, expected: number, options: Ttl = {}): Promise<number> {
    return this.#change(key, expected, await this.#put(key, value, options));
  }

  delete(key: string, expected: number): Promise<number> {
    return this.#change(key, expected, { requestDeleteRange: { key: Buffer.from(key) } });
  }

  async watch(
    prefix: string,
    { after }: { after: number },
    sink: WatchSink,
    signal: AbortSignal,
  ): Promise<void> {
    const key = Buffer.from(prefix === '' ? '\0' : prefix);
    const offset = await this.#offset.get();
    if (after < offset) throw this.#tooOld(after, offset);
    const watch = new EtcdWatch(
      { connection: this.#connection, clock: this.#clock },
      { key, rangeEnd: endOf(prefix), after, offset, sink },
    );
    await watch.run(AbortSignal.any([signal, this.#closing.signal]));
  }

  /** One question serves all who ask while it has not left yet. */
  newest(): Promise<number> {
    this.#asking ??= Promise.resolve().then(() => {
      this.#asking = undefined;
      return this.#newest();
    });
    return this.#asking;
  }

  /**
   * Writes a marker, which the watch of everything delivers in its turn. Not etcd's own progress requests: until 3.4.31
   * and 3.5.13 their answers overtake events.
   */
  requestProgress(): void {
    const put = { requestPut: { key: Buffer.from(PROGRESS_KEY), value: Buffer.from('{}') } };
    this.#marking ??= this.#txn({ success: [put] })
      .catch(() => {}) // whoever waits asks again
      .finally(() => {
        this.#marking = undefined;
      });
  }

  async compact(revision: number): Promise<void> {
    const offset = await this.#offset.get();
    try {
      if (revision > offset) await this.#call('KV.Compact', { revision: revision - offset });
    } catch (err) {
      const error = translate(err);
      // Another API server did it before us.
      if (error.kind !== 'compacted') throw error;
    }
    this.#compacted = Math.max(this.#compacted, revision);
  }

  async status(): Promise<StorageStatus> {
    const offset = await this.#offset.get();
    const { header, dbSize, dbSizeInUse } = await this.#call<StatusResponse>(
      'Maintenance.Status',
      {},
    );
    return {
      revision: header.revision + offset,
      compacted: Math.max(this.#compacted, offset),
      size: dbSize,
      sizeInUse: dbSizeInUse,
    };
  }

  async dump(): Promise<Dump> {
    const offset = await this.#offset.get();
    const { revision } = await this.list('/registry/', { limit: 1 });
    return { revision, items: this.#dumpItems(revision, offset) };
  }

  /** Lets every member give unused space back, one after the other: a member answers nothing meanwhile. */
  async defragment(): Promise<void> {
    await this.#connection.onEveryMember('Maintenance.Defragment', {});
  }

  /**
   * Fills an empty etcd with a dump. Its revisions go on behind those of the dump, by an offset that is stored beside
   * the keys: so no client sees time run backwards.
   */
  async fill({ revision, items }: Dump): Promise<void> {
    const { items: present } = await this.list('/', { limit: 1 });
    if (present.length > 0) {
      throw new Error(`etcd holds keys already (${present[0]?.key}): a store is never overwritten`);
    }
    await this.#offset.set(revision);
    let writes: Promise<number>[] = [];
    for await (const { key, value, expires } of items) {
      const left = Math.ceil((expires - this.#clock.now()) / 1000);
      const ttl = expires === 0 ? {} : { ttlSeconds: Math.max(1, left) };
      writes.push(this.create(key, value, ttl));
      if (writes.length < FILL_AT_ONCE) continue;
      await Promise.all(writes);
      writes = [];
    }
    await Promise.all(writes);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#connection.close();
  }

  async *#dumpItems(revision: number, offset: number): AsyncGenerator<DumpItem> {
    const rangeEnd = endOf('/registry/');
    let start = '/registry/';
    for (;;) {
      const { kvs, more } = await this.#read({
        ...{ key: Buffer.from(start), rangeEnd, limit: PAGE, revision: revision - offset },
      });
      for (const kv of kvs) {
        const item = keyValue(kv, offset);
        start = `${item.key}\0`;
        if (item.key === PROGRESS_KEY) continue;
        yield { ...item, expires: kv.lease === 0 ? 0 : await this.#leases.expiryOf(kv.lease) };
      }
      if (!more) return;
    }
  }

  async #newest(): Promise<number> {
    const offset = await this.#offset.get();
    const response = await this.#read({ key: Buffer.from(OFFSET_KEY), countOnly: true });
    return response.header.revision + offset;
  }

  async #put(key: string, value: Buffer, { ttlSeconds }: Ttl): Promise<object> {
    const lease = ttlSeconds === undefined ? 0 : await this.#leases.leaseFor(ttlSeconds);
    return { requestPut: { key: Buffer.from(key), value, lease } };
  }

  async #change(key: string, expected: number, operation: object): Promise<number> {
    const { revision, found } = await this.#swap(key, expected, operation);
    if (revision !== undefined) return revision;
    throw new StorageError('conflict', `Key has changed: ${key}`, { revision: found });
  }

  /** Does `operation` if the key's revision is `expected` (0: it does not exist), else reads what is there. */
  async #swap(
    key: string,
    expected: number,
    operation: object,
  ): Promise<{ revision?: number; found?: number | undefined }> {
    const offset = await this.#offset.get();
    const bytes = Buffer.from(key);
    // A revision from before the offset is none that a key can have.
    const modRevision = expected === 0 ? 0 : expected > offset ? expected - offset : -1;
    const { header, succeeded, responses } = await this.#txn({
      compare: [{ result: 'EQUAL', target: 'MOD', key: bytes, modRevision }],
      success: [operation],
      failure: [{ requestRange: { key: bytes } }],
    });
    if (succeeded) return { revision: header.revision + offset };
    const found = responses[0]?.responseRange?.kvs[0]?.modRevision;
    return { found: found === undefined ? undefined : found + offset };
  }

  #past(revision: number, offset: number): number {
    if (revision <= offset) throw this.#tooOld(revision, offset);
    return revision - offset;
  }

  #tooOld(revision: number, oldest: number): StorageError {
    return new StorageError('compacted', `Revision ${revision} has been compacted`, {
      revision: oldest,
    });
  }

  /** Reading twice does no harm: the other members are asked when one fails. */
  async #read(request: object): Promise<RangeResponse> {
    try {
      return await this.#connection.callAgain<RangeResponse>('KV.Range', request);
    } catch (err) {
      throw translate(err);
    }
  }

  async #txn(request: object): Promise<TxnResponse> {
    try {
      return await this.#connection.propose('KV.Txn', request, ({ succeeded }) => succeeded);
    } catch (err) {
      throw translate(err);
    }
  }

  async #call<Response>(method: string, request: object): Promise<Response> {
    try {
      return await this.#connection.call<Response>(method, request);
    } catch (err) {
      throw translate(err);
    }
  }
}

const FILL_AT_ONCE = 64;

function keyValue({ key, value, modRevision }: EtcdKeyValue, offset: number): KeyValue {
  return { key: key.toString(), value, revision: modRevision + offset };
}

function endOf(prefix: string): Buffer {
  const end = prefixEnd(prefix);
  return end === undefined ? NO_END : Buffer.from(end);
}
