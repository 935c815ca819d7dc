import type { ResourceType } from '../api/resource-types.ts';
import type { Client, Informer, Selection } from './client.ts';
import { createInformer, type InformerOptions } from './informer.ts';

/** What is kept of an object of any kind. */
type Transform = <T>(type: ResourceType<T>, object: T) => T;

/** One informer per selection, shared by all who ask: a process watches a kind once. */
export class InformerFactory {
  readonly #client: Client;
  readonly #options: InformerOptions;
  readonly #transform: Transform;
  readonly #informers = new Map<string, Informer<never>>();
  #start: ((informer: Informer<never>) => void) | undefined;

  constructor(client: Client, options: InformerOptions & { transform?: Transform } = {}) {
    const { transform = (_, object) => object, ...rest } = options;
    this.#client = client;
    this.#options = rest;
    this.#transform = transform;
  }

  get<T>(type: ResourceType<T>, selection: Selection = {}): Informer<T> {
    const { namespace, labelSelector, fieldSelector, metadataOnly = false } = selection;
    const parts = [type.group, type.version, type.resource, namespace, labelSelector];
    const id = JSON.stringify([...parts, fieldSelector, metadataOnly]);
    let informer = this.#informers.get(id) as Informer<T> | undefined;
    if (!informer) {
      const transform = (object: T) => this.#transform(type, object);
      informer = createInformer(this.#client, type, selection, { ...this.#options, transform });
      this.#informers.set(id, informer as Informer<never>);
      this.#start?.(informer as Informer<never>);
    }
    return informer;
  }

  /** The informer of all objects of a kind, if somebody has asked for it. */
  find<T>(type: ResourceType<unknown>): Informer<T> | undefined {
    const id = JSON.stringify([type.group, type.version, type.resource, null, null, null, false]);
    return this.#informers.get(id) as Informer<T> | undefined;
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
