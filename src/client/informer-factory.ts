import type { ResourceType } from '../api/resource-types.ts';
import type { PartialObject } from '../api/types.ts';
import type { Client, Informer, Selection } from './client.ts';
import { createInformer, type InformerOptions } from './informer.ts';

/** One informer per selection, shared by all who ask: a process watches a kind once. */
export class InformerFactory {
  readonly #client: Client;
  readonly #options: InformerOptions;
  readonly #informers = new Map<string, Informer<never>>();
  #start: ((informer: Informer<never>) => void) | undefined;

  constructor(client: Client, options: InformerOptions = {}) {
    this.#client = client;
    this.#options = options;
  }

  get<T>(type: ResourceType<T>, selection: Selection = {}): Informer<T> {
    const { namespace, labelSelector, fieldSelector, metadataOnly = false } = selection;
    const parts = [type.group, type.version, type.resource, namespace, labelSelector];
    const id = JSON.stringify([...parts, fieldSelector, metadataOnly]);
    let informer = this.#informers.get(id) as Informer<T> | undefined;
    if (!informer) {
      informer = createInformer(this.#client, type, selection, this.#options);
      this.#informers.set(id, informer as Informer<never>);
      this.#start?.(informer as Informer<never>);
    }
    return informer;
  }

  /** Metadata of every object of a kind: the full informer where somebody has one already, else one that asks for metadata only. */
  metadata(type: ResourceType<unknown>): Informer<PartialObject> {
    const full = JSON.stringify([type.group, type.version, type.resource, null, null, null, false]);
    const known = this.#informers.get(full) as unknown as Informer<PartialObject> | undefined;
    if (known) return known;
    const { group, version, resource, kind, namespaced } = type;
    const plain: ResourceType<PartialObject> = { group, version, resource, kind, namespaced };
    return this.get(plain, { metadataOnly: true });
  }

  /** Runs every informer, those asked for later too, until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const running = new Set<Promise<void>>();
    const failed = Promise.withResolvers<never>();
    const start = (informer: Informer<never>) => {
      const work = informer.run(signal).catch(failed.reject);
      running.add(work);
    };
    for (const informer of this.#informers.values()) start(informer);
    this.#start = start;
    const end = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([end, failed.promise]);
    await Promise.all(running);
  }
}
