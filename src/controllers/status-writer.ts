import type { ObjectKey, ResourceType } from '../api/resource-types.ts';
import type { StoredMeta } from '../api/types.ts';
import type { Client, Informer } from '../client/client.ts';
import { jsonEqual } from '../util/json.ts';
import { Overlay } from './overlay.ts';
import { unlessGone } from './unless-gone.ts';

interface HasStatus {
  readonly metadata: StoredMeta;
  readonly status?: unknown;
}

/**
 * The objects of one kind as this process left them, and the way to write their status. A look that follows a write at
 * once sees that write: it decides nothing twice, and does not run into a conflict with itself.
 */
export class StatusWriter<T extends HasStatus> {
  readonly #client: Client;
  readonly #type: ResourceType<T>;
  readonly #overlay: Overlay<T>;

  constructor(client: Client, informer: Informer<T>) {
    this.#client = client;
    this.#type = informer.type;
    this.#overlay = new Overlay(informer);
  }

  get(key: ObjectKey): T | undefined {
    return this.#overlay.get(key);
  }

  /** No write where nothing changes. Answers the object as it is then; one that is gone stays as it was. */
  async write(object: T, status: T['status']): Promise<T> {
    if (jsonEqual(object.status ?? {}, status ?? {})) return object;
    return this.put({ ...object, status });
  }

  /** For callers that change annotations as well, which the status sub-resource takes too. */
  async put(object: T): Promise<T> {
    const how = { subresource: 'status' };
    const written = await unlessGone(this.#client.update(this.#type, object, how));
    if (written) this.#overlay.wrote(written);
    return written ?? object;
  }
}
