import { CONFIG_MAPS, type ResourceType, SECRETS } from '../api/resource-types.ts';
import { CLUSTER_TRUST_BUNDLES } from '../api/system-resource-types.ts';
import type { ClusterTrustBundle, ConfigMap, KubeObject, Pod, Secret } from '../api/types.ts';
import type { Informer, Selection } from '../client/client.ts';
import type { ConfigReader } from './environment.ts';

export type InformerFactory = <T>(type: ResourceType<T>, selection: Selection) => Informer<T>;

interface Watched {
  informer: Informer<KubeObject>;
  stop: AbortController;
  pods: Set<string>;
}

/**
 * The config maps and secrets that pods of this node use, each watched by itself for as long as a pod refers to
 * it: a node sees no others, and learns of a change at once (upstream's Watch strategy). So are trust bundles, those of a
 * signer together.
 */
export class ConfigObjects implements ConfigReader {
  readonly #informers: InformerFactory;
  readonly #onChange: (podUid: string) => void;
  readonly #watched = new Map<string, Watched>();

  constructor(deps: { informers: InformerFactory; onChange(podUid: string): void }) {
    this.#informers = deps.informers;
    this.#onChange = deps.onChange;
  }

  configMap(pod: Pod, name: string): Promise<ConfigMap | undefined> {
    return this.#get(CONFIG_MAPS, pod, name);
  }

  secret(pod: Pod, name: string): Promise<Secret | undefined> {
    return this.#get(SECRETS, pod, name);
  }

  /** The bundles of that name, or of that signer. */
  trustBundles(
    pod: Pod,
    chosen: { name: string } | { signerName: string },
  ): Promise<readonly ClusterTrustBundle[]> {
    const fieldSelector =
      'name' in chosen ? `metadata.name=${chosen.name}` : `spec.signerName=${chosen.signerName}`;
    return this.#list(CLUSTER_TRUST_BUNDLES, pod, { fieldSelector });
  }

  async configMapData(pod: Pod, name: string): Promise<Map<string, Uint8Array> | undefined> {
    const object = await this.configMap(pod, name);
    return object && configMapFiles(object);
  }

  async secretData(pod: Pod, name: string): Promise<Map<string, Uint8Array> | undefined> {
    const object = await this.secret(pod, name);
    return object && secretFiles(object);
  }

  /** The pod refers to nothing any more. */
  release(podUid: string): void {
    for (const [id, watched] of this.#watched) {
      watched.pods.delete(podUid);
      if (watched.pods.size > 0) continue;
      watched.stop.abort();
      this.#watched.delete(id);
    }
  }

  close(): void {
    for (const { stop } of this.#watched.values()) stop.abort();
    this.#watched.clear();
  }

  async #get<T>(type: ResourceType<T>, pod: Pod, name: string): Promise<T | undefined> {
    const { namespace } = pod.metadata;
    const selection = { namespace, fieldSelector: `metadata.name=${name}` };
    return (await this.#list(type, pod, selection))[0];
  }

  async #list<T>(type: ResourceType<T>, pod: Pod, selection: Selection): Promise<readonly T[]> {
    const id = `${type.resource}/${selection.namespace ?? ''}/${selection.fieldSelector}`;
    const watched = this.#watched.get(id) ?? this.#watch(id, type, selection);
    watched.pods.add(pod.metadata.uid);
    await watched.informer.whenSynced(
      AbortSignal.any([watched.stop.signal, AbortSignal.timeout(SYNC_TIMEOUT_MS)]),
    );
    return watched.informer.list() as unknown as readonly T[];
  }

  #watch<T>(id: string, type: ResourceType<T>, selection: Selection): Watched {
    const informer = this.#informers(type as ResourceType<KubeObject>, selection);
    const watched: Watched = { informer, stop: new AbortController(), pods: new Set() };
    const tell = (): void => {
      if (informer.synced) for (const uid of watched.pods) this.#onChange(uid);
    };
    informer.addHandler({ onAdd: tell, onUpdate: tell, onDelete: tell });
    this.#watched.set(id, watched);
    void informer.run(watched.stop.signal).catch(() => {});
    return watched;
  }
}

// A pod that waits for an API server that does not answer is told so and tried again.
const SYNC_TIMEOUT_MS = 30_000;

export function configMapFiles(object: ConfigMap): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (const [key, text] of Object.entries(object.data ?? {})) files.set(key, Buffer.from(text));
  for (const [key, text] of Object.entries(object.binaryData ?? {})) {
    files.set(key, Buffer.from(text, 'base64'));
  }
  return files;
}

export function secretFiles(object: Secret): Map<string, Uint8Array> {
  const entries = Object.entries(object.data ?? {});
  return new Map(entries.map(([key, text]) => [key, Buffer.from(text, 'base64')]));
}
