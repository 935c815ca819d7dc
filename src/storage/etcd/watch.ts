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
  /** How far the store's revisions are ahead of etcd's. */
  readonly offset: number;
  readonly sink: WatchSink;
}

/** One watch of etcd, which survives the loss of its connection: it goes on behind the last event that it told. */
export class EtcdWatch {
  readonly #connection: EtcdConnection;
  readonly #clock: Clock;
  readonly #options: EtcdWatchOptions;
  /** Everything up to here was told. */
  #seen: number;

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

  async #once(signal: AbortSignal): Promise<void> {
    const stream = await this.#connection.duplex<WatchRequest, WatchResponse>('Watch.Watch');
    const end = (): void => stream.cancel();
    if (signal.aborted) end();
    signal.addEventListener('abort', end, { once: true });
    const { key, rangeEnd, offset } = this.#options;
    try {
      await new Promise<void>((resolve, reject) => {
        stream.on('data', (response: WatchResponse) => {
          const failure = this.#take(response);
          if (failure) reject(failure);
        });
        stream.on('error', reject);
        stream.on('end', resolve);
        stream.write({
          createRequest: {
            key,
            rangeEnd,
            startRevision: this.#seen - offset + 1,
            progressNotify: true,
          },
        });
      });
    } finally {
      signal.removeEventListener('abort', end);
      stream.cancel();
    }
  }

  #take(response: WatchResponse): Error | undefined {
    const { events, created, canceled, compactRevision } = response;
    const { sink, offset } = this.#options;
    if (canceled) {
      if (compactRevision > 0) {
        return new StorageError('compacted', 'Revision has been compacted', {
          revision: compactRevision + offset,
        });
      }
      return new Error(response.cancelReason || 'The watch was ended');
    }
    const fresh = events.flatMap(({ type, kv }): StorageEvent[] =>
      kv.modRevision + offset <= this.#seen
        ? []
        : [
            {
              key: kv.key.toString(),
              revision: kv.modRevision + offset,
              value: type === 'DELETE' ? undefined : kv.value,
            },
          ],
    );
    const last = fresh.at(-1)?.revision;
    if (last !== undefined) {
      this.#seen = last;
      sink.events(fresh);
      sink.progress?.(last);
    } else if (!created && events.length === 0) {
      this.#progress(response.header.revision + offset);
    }
    return undefined;
  }

  /** Nothing is missing up to this revision. */
  #progress(revision: number): void {
    if (revision <= this.#seen) return;
    this.#seen = revision;
    this.#options.sink.progress?.(revision);
  }
}
