import { isNotFound } from '../../api/errors.ts';
import { controllerOf } from '../../api/owner-references.ts';
import {
  DEPLOYMENTS,
  REPLICA_SETS,
  REPLICATION_CONTROLLERS,
  type ResourceType,
  STATEFUL_SETS,
} from '../../api/resource-types.ts';
import type { OwnerReference, StoredMeta } from '../../api/types.ts';
import type { Informer } from '../../client/client.ts';
import type { ControllerContext } from '../context.ts';
import { Scales } from '../scales.ts';

interface Workload {
  readonly metadata: StoredMeta;
  readonly spec?: { readonly replicas?: number | undefined } | undefined;
}

/** How many Pods the owner of a Pod asks for: known kinds from caches, any other by its scale. */
export class Workloads {
  readonly #byKind: ReadonlyMap<string, Informer<Workload>>;
  readonly #scales: Scales;

  constructor({ informers, client }: ControllerContext) {
    const known = [DEPLOYMENTS, REPLICA_SETS, REPLICATION_CONTROLLERS, STATEFUL_SETS];
    this.#byKind = new Map(
      known.map((type) => [type.kind, informers.get(type as ResourceType<Workload>)]),
    );
    this.#scales = new Scales(client);
  }

  get informers(): readonly Informer<Workload>[] {
    return [...this.#byKind.values()];
  }

  /** Undefined: the owner is gone. Of a ReplicaSet in a rollout it is the Deployment that says how many. */
  async sizeOf(
    namespace: string,
    owner: OwnerReference,
  ): Promise<{ uid: string; replicas: number } | undefined> {
    const informer = this.#byKind.get(owner.kind);
    if (!informer) return this.#scaleOf(namespace, owner);
    const found = informer.get({ namespace, name: owner.name });
    if (found?.metadata.uid !== owner.uid) return undefined;
    const above = controllerOf(found);
    if (owner.kind === 'ReplicaSet' && above) return this.sizeOf(namespace, above);
    return { uid: owner.uid, replicas: found.spec?.replicas ?? 1 };
  }

  async #scaleOf(namespace: string, owner: OwnerReference) {
    try {
      const scale = await this.#scales.get(namespace, owner);
      return { uid: owner.uid, replicas: scale.spec?.replicas ?? 0 };
    } catch (err) {
      if (!isNotFound(err)) throw err;
      const { kind, name } = owner;
      const text = `${kind} ${JSON.stringify(name)} does not implement the scale subresource`;
      throw new Error(text, { cause: err });
    }
  }
}
