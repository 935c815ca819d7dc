import type { PersistentVolume, Pod, ResourceSlice, VolumeAttachment } from '../../api/types.ts';
import type { KindRegistry } from '../kind-registry.ts';
import { referencesOf } from '../pod-references.ts';
import type { State } from '../state.ts';
import { parseObject } from '../stored-object.ts';

/** What belongs to each node, kept true by the watch caches (upstream's node authorizer graph). */
export class NodeGraph {
  readonly #pods = new PodReferences();
  readonly #volumes = new Map<string, PersistentVolume>();
  readonly #attachments = new Map<string, string>();
  readonly #slices = new Map<string, string>();

  async start(deps: { readonly state: State; readonly kinds: KindRegistry }): Promise<void> {
    await follow<Pod>(deps, { group: '', resource: 'pods' }, this.#pods);
    await follow<PersistentVolume>(
      deps,
      { group: '', resource: 'persistentvolumes' },
      {
        set: (key, volume) => this.#volumes.set(key, volume),
        forget: (key) => this.#volumes.delete(key),
      },
    );
    await follow<VolumeAttachment>(
      deps,
      { group: 'storage.k8s.io', resource: 'volumeattachments' },
      {
        set: (key, { spec }) => this.#attachments.set(key, spec.nodeName),
        forget: (key) => this.#attachments.delete(key),
      },
    );
    await follow<ResourceSlice>(
      deps,
      { group: 'resource.k8s.io', resource: 'resourceslices' },
      {
        set: (key, { spec }) => this.#slices.set(key, spec.nodeName ?? ''),
        forget: (key) => this.#slices.delete(key),
      },
    );
  }

  /** Whether an object is a Pod of the node, or one that a Pod of the node uses. */
  belongs(node: string, resource: string, key: { namespace: string; name: string }): boolean {
    const { namespace, name } = key;
    switch (resource) {
      case 'pods':
        return this.#pods.runs(node, `${namespace}/${name}`);
      case 'persistentvolumes':
        return this.#usesVolume(node, name);
      case 'volumeattachments':
        return this.#attachments.get(name) === node;
      case 'resourceslices':
        return this.#slices.get(name) === node;
      case 'secrets':
        return this.#pods.uses(node, resource, key) || this.#takesSecret(node, namespace, name);
      default:
        return this.#pods.uses(node, resource, key);
    }
  }

  /** Through the claim of a Pod. */
  #usesVolume(node: string, name: string): boolean {
    const claim = this.#volumes.get(name)?.spec?.claimRef;
    const { namespace = '', name: claimName = '' } = claim ?? {};
    return this.#pods.uses(node, 'persistentvolumeclaims', { namespace, name: claimName });
  }

  /** Whether mounting a volume of the node takes the secret. */
  #takesSecret(node: string, namespace: string, name: string): boolean {
    for (const { metadata, spec } of this.#volumes.values()) {
      const { nodeStageSecretRef, nodePublishSecretRef, nodeExpandSecretRef } = spec?.csi ?? {};
      const named = [nodeStageSecretRef, nodePublishSecretRef, nodeExpandSecretRef].some(
        (ref) => ref?.name === name && ref.namespace === namespace,
      );
      if (named && this.#usesVolume(node, metadata.name)) return true;
    }
    return false;
  }
}

interface Sink<T> {
  set(key: string, object: T): void;
  forget(key: string): void;
}

async function follow<T>(
  { state, kinds }: { state: State; kinds: KindRegistry },
  { group, resource }: { group: string; resource: string },
  sink: Sink<T>,
): Promise<void> {
  const kind = kinds.get(group, 'v1', resource);
  if (!kind) throw new Error(`The kind ${resource} is not declared`);
  const cache = await state.cache(kind);
  cache.addWatcher({
    scope: { namespace: '' },
    offer: ({ type, entry }) => {
      if (type === 'DELETED') sink.forget(entry.key);
      else sink.set(entry.key, parseObject(entry.served.bytes) as T);
    },
  });
  for (const { key, served } of cache.slice('')) sink.set(key, parseObject(served.bytes) as T);
}

/** What the Pods of each node refer to, counted. */
class PodReferences implements Sink<Pod> {
  readonly #counts = new Map<string, number>();
  readonly #ofPod = new Map<string, readonly string[]>();
  readonly #nodeOf = new Map<string, string>();

  runs(node: string, pod: string): boolean {
    return this.#nodeOf.get(pod) === node;
  }

  uses(node: string, resource: string, key: { namespace: string; name: string }): boolean {
    return this.#counts.has(`${node}|${resource}|${key.namespace}/${key.name}`);
  }

  set(key: string, pod: Pod): void {
    this.forget(key);
    const node = pod.spec?.nodeName;
    if (!node) return;
    const { namespace } = pod.metadata;
    const used = [...referencesOf(pod)].map(
      ([resource, name]) => `${node}|${resource}|${namespace}/${name}`,
    );
    this.#nodeOf.set(key, node);
    this.#ofPod.set(key, used);
    for (const reference of used) {
      this.#counts.set(reference, (this.#counts.get(reference) ?? 0) + 1);
    }
  }

  forget(key: string): void {
    for (const reference of this.#ofPod.get(key) ?? []) {
      const left = (this.#counts.get(reference) ?? 1) - 1;
      if (left === 0) this.#counts.delete(reference);
      else this.#counts.set(reference, left);
    }
    this.#ofPod.delete(key);
    this.#nodeOf.delete(key);
  }
}
