import type { ObjectKey, ResourceType } from '../../src/api/resource-types.ts';
import type { Pod, StoredMeta } from '../../src/api/types.ts';
import type { Client, Informer, InformerHandler } from '../../src/client/client.ts';

type Object_ = { metadata: StoredMeta };

/** An informer that is told what happens instead of watching: the scheduler alone, without a wire. */
export class MemoryInformer<T extends Object_> implements Informer<T> {
  readonly type: ResourceType<T>;
  readonly synced = true;
  /** Everything is shown at once. */
  readonly revision = Number.POSITIVE_INFINITY;
  readonly #handlers: InformerHandler<T>[] = [];
  readonly #objects = new Map<string, T>();

  constructor(type: ResourceType<T>) {
    this.type = type;
  }

  set(object: T): void {
    const key = keyOf(object.metadata);
    const before = this.#objects.get(key);
    this.#objects.set(key, object);
    for (const handler of this.#handlers) {
      if (before) handler.onUpdate?.(before, object);
      else handler.onAdd?.(object, false);
    }
  }

  remove(key: ObjectKey): void {
    const object = this.#objects.get(keyOf(key));
    this.#objects.delete(keyOf(key));
    if (object) for (const handler of this.#handlers) handler.onDelete?.(object);
  }

  get(key: ObjectKey): T | undefined {
    return this.#objects.get(keyOf(key));
  }

  list(namespace = ''): T[] {
    const all = [...this.#objects.values()];
    return namespace === '' ? all : all.filter((o) => o.metadata.namespace === namespace);
  }

  byIndex(): T[] {
    return [];
  }

  addHandler(handler: InformerHandler<T>): void {
    this.#handlers.push(handler);
  }

  addIndex(): void {}

  whenSynced(): Promise<void> {
    return Promise.resolve();
  }

  run(): Promise<void> {
    return Promise.resolve();
  }
}

function keyOf({ namespace, name }: ObjectKey): string {
  return `${namespace}/${name}`;
}

/** Answers bindings, status patches and deletions at once, and tells the Pod informer. */
export function memoryClient(pods: MemoryInformer<Pod>, onBound: () => void): Client {
  const refuse = () => Promise.reject(new Error('The in-memory API does not do that'));
  const client = {
    async createSubresource(_type: unknown, key: ObjectKey, _sub: string, body: unknown) {
      const pod = pods.get(key);
      if (!pod?.spec) throw new Error(`No Pod ${key.name}`);
      const nodeName = (body as { target: { name: string } }).target.name;
      pods.set({ ...pod, spec: { ...pod.spec, nodeName } });
      onBound();
      return body;
    },
    async patch(_type: unknown, key: ObjectKey, { body }: { body: unknown }) {
      const pod = pods.get(key);
      const status = (body as { status?: object }).status ?? {};
      if (pod) pods.set({ ...pod, status: { ...pod.status, ...status } as Pod['status'] & object });
      return pod;
    },
    async delete(_type: unknown, key: ObjectKey) {
      pods.remove(key);
    },
    ...{ get: refuse, list: refuse, create: refuse, update: refuse, raw: refuse, watch: refuse },
  };
  return client as unknown as Client;
}
