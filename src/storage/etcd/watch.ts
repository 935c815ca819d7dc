import type * as grpc from '@grpc/grpc-js';
import type { Clock } from '../../util/clock.ts';
import { StorageError, type StorageEvent, type WatchSink } from '../storage.ts';
import type { EtcdConnection } from './connection.ts';
import { translate } from './errors.ts';
import type { WatchRequest, WatchResponse } from './messages.ts';

const RETRY_MS = 200;

export interface EtcdWatchOptions {
  readonly key: Buffer;
  readonly rangeEnd: Buffer;
  readonly after: number;
  readonly sink: WatchSink;
}

type Stream = grpc.ClientDuplexStream<WatchRequest, WatchResponse>;

/** One watch of etcd, which survives the loss of its connection: it goes on behind the last event that it told. */
export class EtcdWatch {
  readonly #connection: EtcdConnection;
  readonly #clock: Clock;
  readonly #options: EtcdWatchOptions;
  /** Everything up to here was told. */
  #seen: number;
  #stream: Stream | undefined;

  constructor(deps: { connection: EtcdConnection; clock: Clock }, options: EtcdWatchOptions) {
    this.#connection = deps.connection;
    this.#clock = deps.clock;
    this.#options = options;
    this.#seen = options.after;
  }

  /** Resolves when aborted; rejects with `compacted`. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#once(signal);
      } catch (err) {
        const error = translate(err);
        if (error.kind === 'compacted') throw error;
      }
      if (signal.aborted) return;
      await this.#clock.sleep(RETRY_MS, signal).catch(() => {});
    }
  }

  /** Asks etcd to say how far it has told everything. */
  requestProgress(): void {
    this.#stream?.write({ progressRequest: {} });
  }

  async #once(signal: AbortSignal): Promise<void> {
    const stream = await this.#connection.duplex<WatchRequest, WatchResponse>('Watch.Watch');
    const end = (): void => stream.cancel();
    if (signal.aborted) end();
    signal.addEventListener('abort', end, { once: true });
    this.#stream = stream;
    const { key, rangeEnd } = this.#options;
    try {
      await new Promise<void>((resolve, reject) => {
        stream.on('data', (response: WatchResponse) => {
          const failure = this.#take(response);
          if (failure) reject(failure);
        });
        stream.on('error', reject);
        stream.on('end', resolve);
        stream.write({
          createRequest: { key, rangeEnd, startRevision: this.#seen + 1, progressNotify: true },
        });
      });
    } finally {
      this.#stream = undefined;
      signal.removeEventListener('abort', end);
      stream.cancel();
    }
  }

  #take(response: WatchResponse): Error | undefined {
    const { events, header, created, canceled, compactRevision } = response;
    if (canceled) {
      if (compactRevision > 0) {
        return new StorageError('compacted', 'Revision has been compacted', {
          revision: compactRevision,
        });
      }
      return new Error(response.cancelReason || 'The watch was ended');
    }
    const { sink } = this.#options;
    const fresh = events.flatMap(({ type, kv }): StorageEvent[] =>
      kv.modRevision <= this.#seen
        ? []
        : [
            {
              key: kv.key.toString(),
              revision: kv.modRevision,
              value: type === 'DELETE' ? undefined : kv.value,
            },
          ],
    );
    const last = fresh.at(-1)?.revision;
    if (last !== undefined) {
      this.#seen = last;
      sink.events(fresh);
      sink.progress?.(last);
    } else if (!created && events.length === 0 && header.revision > this.#seen) {
      // A progress notification: nothing is missing up to this revision.
      this.#seen = header.revision;
      sink.progress?.(header.revision);
    }
    return undefined;
  }
}
