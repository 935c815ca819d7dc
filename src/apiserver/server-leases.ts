import { isStorageError, type Storage, type StorageEvent } from '../storage/storage.ts';

/** Upstream's place for them. */
const PREFIX = '/registry/masterleases/';
const TTL_SECONDS = 15;

/** Which API servers share a store: each keeps a key in it that vanishes soon after it is renewed no more. */
export class ServerLeases {
  readonly #storage: Storage;
  #known: ReadonlySet<string> = new Set();

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** To be called well within 15 s of the last time. */
  async renew(address: string): Promise<void> {
    const key = PREFIX + address;
    const value = Buffer.from(JSON.stringify({ address }));
    const options = { ttlSeconds: TTL_SECONDS };
    try {
      const known = await this.#storage.get(key);
      if (known) await this.#storage.update(key, value, known.revision, options);
      else await this.#storage.create(key, value, options);
    } catch (err) {
      // It lapsed between the look and the write, or we are named twice: the next renewal will do.
      if (!isStorageError(err, 'conflict') && !isStorageError(err, 'exists')) throw err;
    }
  }

  async giveUp(address: string): Promise<void> {
    const known = await this.#storage.get(PREFIX + address);
    if (known) await this.#storage.delete(PREFIX + address, known.revision);
  }

  /** In a fixed order. */
  async addresses(): Promise<string[]> {
    const { items } = await this.#storage.list(PREFIX);
    this.#known = new Set(items.map(({ key }) => key.slice(PREFIX.length)));
    return [...this.#known].sort();
  }

  /** Calls `changed` when a server has come or gone since `addresses` was asked. Works until aborted. */
  async watch(changed: () => void, signal: AbortSignal): Promise<void> {
    const { revision } = await this.#storage.status();
    const events = (batch: readonly StorageEvent[]): void => {
      const isNews = ({ key, value }: StorageEvent): boolean =>
        (value !== undefined) !== this.#known.has(key.slice(PREFIX.length));
      if (batch.some(isNews)) changed();
    };
    await this.#storage.watch(PREFIX, { after: revision }, { events }, signal);
  }
}
