import { apiVersionOf, type ResourceType } from '../api/resource-types.ts';
import type { Client } from '../client/client.ts';
import { objectPath } from '../client/paths.ts';
import { discover } from './discovery.ts';

/** autoscaling/v1 Scale, of whatever kind. */
export interface Scale {
  readonly metadata: object;
  readonly spec?: { readonly replicas?: number };
  readonly status?: { readonly replicas: number; readonly selector?: string };
}

export interface TargetRef {
  readonly apiVersion?: string | undefined;
  readonly kind: string;
  readonly name: string;
}

/** Finds the resource of a kind, and reads and writes how many of it there are to be. */
export class Scales {
  readonly #client: Client;
  readonly #known = new Map<string, ResourceType<unknown>>();

  constructor(client: Client) {
    this.#client = client;
  }

  /** Throws where the server has no such kind. */
  async typeOf({ apiVersion = '', kind }: Omit<TargetRef, 'name'>): Promise<ResourceType<unknown>> {
    const group = apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '';
    const id = `${group}/${kind}`;
    let found = this.#known.get(id);
    if (!found) {
      const { types } = await discover(this.#client);
      found = types.find((type) => type.group === group && type.kind === kind);
      if (!found) {
        throw new Error(`no matches for kind "${kind}" in group "${group}"`);
      }
      this.#known.set(id, found);
    }
    return found;
  }

  async get(namespace: string, target: TargetRef): Promise<Scale> {
    const type = await this.typeOf(target);
    const path = objectPath(type, { namespace, name: target.name }, 'scale');
    return (await this.#client.raw('GET', path)) as Scale;
  }

  async set(
    namespace: string,
    target: TargetRef,
    change: { scale: Scale; replicas: number },
  ): Promise<void> {
    const type = await this.typeOf(target);
    const path = objectPath(type, { namespace, name: target.name }, 'scale');
    const { scale, replicas } = change;
    await this.#client.raw('PUT', path, { ...scale, spec: { ...scale.spec, replicas } });
  }

  async pluralOf(about: { apiVersion?: string | undefined; kind: string }): Promise<string> {
    const type = await this.typeOf(about);
    const group = apiVersionOf(type).includes('/') ? `.${type.group}` : '';
    return `${type.resource}${group}`;
  }
}
