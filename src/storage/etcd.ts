import type { Clock } from '../util/clock.ts';
import { EtcdConnection, type EtcdOptions } from './etcd/connection.ts';
import { translate } from './etcd/errors.ts';
import { Leases } from './etcd/leases.ts';
import type { EtcdKeyValue, RangeResponse, StatusResponse, TxnResponse } from './etcd/messages.ts';
import { EtcdWatch } from './etcd/watch.ts';
import {
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

const PAGE = 1000;
/** The end of a range without end, in etcd's words. */
const NO_END = Buffer.from([0]);

/** A real etcd cluster, with upstream's keys: an upstream API server can open the same data. */
export class EtcdStorage implements Storage {
  readonly #connection: EtcdConnection;
  readonly #clock: Clock;
  readonly #leases: Leases;
  readonly #watches = new Set<EtcdWatch>();
  readonly #closing = new AbortController();
  /** What we compacted or were told of; etcd itself does not say. */
  #compacted = 0;
  #asking: Promise<number> | undefined;

  constructor(options: EtcdOptions, deps: { clock: Clock }) {
    this.#connection = new EtcdConnection(options);
    this.#clock = deps.clock;
    this.#leases = new Leases({ connection: this.#connection, clock: deps.clock });
  }

  async get(key: string): Promise<KeyValue | undefined> {
    const { kvs } = await this.#call<RangeResponse>('KV.Range', { key: Buffer.from(key) });
    return kvs[0] && keyValue(kvs[0]);
  }

  async list(prefix: string, options: ListOptions = {}): Promise<ListResult> {
    const { limit = 0, after } = options;
    const rangeEnd = endOf(prefix);
    const items: KeyValue[] = [];
    let revision = options.revision ?? 0;
    let start = after === undefined ? prefix : `${after}\0`;
    for (;;) {
      const left = limit > 0 ? limit - items.length : PAGE;
      const response = await this.#call<RangeResponse>('KV.Range', {
        key: Buffer.from(start),
        rangeEnd,
        limit: Math.min(left, PAGE),
        revision,
      });
      revision ||= response.header.revision;
      for (const kv of response.kvs) items.push(keyValue(kv));
      const last = items.at(-1);
      if (!response.more || !last || (limit > 0 && items.length >= limit)) {
        return { items, revision, remaining: response.count - response.kvs.length };
      }
      start = `${last.key}\0`;
    }
  }

  async create(key: string, value: Buffer, options: Ttl = {}): Promise<number> {
    const { header, succeeded, responses } = await this.#swap(
      key,
      0,
      await this.#put(key, value, options),
    );
    if (succeeded) return header.revision;
    const revision = responses[0]?.responseRange?.kvs[0]?.modRevision;
    throw new StorageError('exists', `Key exists: ${key}`, { revision });
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
    const watch = new EtcdWatch(
      { connection: this.#connection, clock: this.#clock },
      { key, rangeEnd: endOf(prefix), after, sink },
    );
    this.#watches.add(watch);
    try {
      await watch.run(AbortSignal.any([signal, this.#closing.signal]));
    } finally {
      this.#watches.delete(watch);
    }
  }

  /** One question serves all who ask while it has not left yet. */
  newest(): Promise<number> {
    this.#asking ??= Promise.resolve().then(() => {
      this.#asking = undefined;
      return this.#newest();
    });
    return this.#asking;
  }

  requestProgress(): void {
    for (const watch of this.#watches) watch.requestProgress();
  }

  async compact(revision: number): Promise<void> {
    try {
      await this.#connection.call('KV.Compact', { revision });
    } catch (err) {
      const error = translate(err);
      // Another API server did it before us.
      if (error.kind !== 'compacted') throw error;
    }
    this.#compacted = Math.max(this.#compacted, revision);
  }

  async status(): Promise<StorageStatus> {
    const { header, dbSize } = await this.#call<StatusResponse>('Maintenance.Status', {});
    return { revision: header.revision, compacted: this.#compacted, size: dbSize };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#connection.close();
  }

  async #newest(): Promise<number> {
    const response = await this.#call<RangeResponse>('KV.Range', {
      key: Buffer.from('/'),
      countOnly: true,
    });
    return response.header.revision;
  }

  async #put(key: string, value: Buffer, { ttlSeconds }: Ttl): Promise<object> {
    const lease = ttlSeconds === undefined ? 0 : await this.#leases.leaseFor(ttlSeconds);
    return { requestPut: { key: Buffer.from(key), value, lease } };
  }

  async #change(key: string, expected: number, operation: object): Promise<number> {
    const { header, succeeded, responses } = await this.#swap(key, expected, operation);
    if (succeeded) return header.revision;
    const revision = responses[0]?.responseRange?.kvs[0]?.modRevision;
    throw new StorageError('conflict', `Key has changed: ${key}`, { revision });
  }

  /** Does `operation` if the key's revision is `expected` (0: it does not exist), else reads what is there. */
  #swap(key: string, expected: number, operation: object): Promise<TxnResponse> {
    const bytes = Buffer.from(key);
    return this.#call<TxnResponse>('KV.Txn', {
      compare: [{ result: 'EQUAL', target: 'MOD', key: bytes, modRevision: expected }],
      success: [operation],
      failure: [{ requestRange: { key: bytes } }],
    });
  }

  async #call<Response>(method: string, request: object): Promise<Response> {
    try {
      return await this.#connection.call<Response>(method, request);
    } catch (err) {
      throw translate(err);
    }
  }
}

function keyValue({ key, value, modRevision }: EtcdKeyValue): KeyValue {
  return { key: key.toString(), value, revision: modRevision };
}

function endOf(prefix: string): Buffer {
  const end = prefixEnd(prefix);
  return end === undefined ? NO_END : Buffer.from(end);
}
