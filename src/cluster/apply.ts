import { isConflict, isNotFound } from '../api/errors.ts';
import { keyString, type ResourceType } from '../api/resource-types.ts';
import type { KubeObject, ObjectMeta } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import { errorMessage } from '../util/errors.ts';

const FIELD_MANAGER = 'k8ts';

/** Puts values in place of `$NAME` in a manifest. Pure. */
export function fillIn(manifest: string, values: Readonly<Record<string, string>>): string {
  return manifest.replace(/\$([A-Z][A-Z0-9_]*)/g, (_whole, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`A manifest asks for $${name}: not known`);
    return value;
  });
}

/**
 * Brings objects into the cluster by server-side apply: nothing changes where all is there. An object of which somebody
 * else has taken a field over is left to them. Answers a line for each object that could not be applied.
 */
export async function applyObjects(
  client: Client,
  objects: readonly KubeObject[],
  signal: AbortSignal,
): Promise<string[]> {
  const types = new ResourceTypes(client);
  const problems: string[] = [];
  for (const object of objects) {
    signal.throwIfAborted();
    const { name = '', namespace = '' } = object.metadata;
    const key = { namespace, name };
    try {
      const type = await types.of(object, signal);
      const patch = { type: 'apply' as const, body: object };
      await client.patch(type, key, patch, { fieldManager: FIELD_MANAGER });
    } catch (err) {
      signal.throwIfAborted();
      const why = isConflict(err) ? 'is left as others have changed it' : 'could not be applied';
      problems.push(`${object.kind} ${keyString(key)} ${why}: ${errorMessage(err)}`);
    }
  }
  return problems;
}

/**
 * Takes objects out of the cluster that `applyObjects` has brought into it. One that others have changed stays, and so does
 * one of the same name that was never ours. Answers a line for each that stays though it was ours, or could not be removed.
 */
export async function removeObjects(
  client: Client,
  objects: readonly KubeObject[],
  signal: AbortSignal,
): Promise<string[]> {
  const types = new ResourceTypes(client);
  const problems: string[] = [];
  for (const object of objects.toReversed()) {
    signal.throwIfAborted();
    const { name = '', namespace = '' } = object.metadata;
    const key = { namespace, name };
    const removal = `kubectl delete ${object.kind.toLowerCase()} ${name}${namespace && ` -n ${namespace}`}`;
    try {
      const type = await types.of(object, signal);
      const { metadata } = await client.get(type, key, signal);
      const owner = ownerOf(metadata);
      if (owner === 'ours') {
        const preconditions = { uid: metadata.uid };
        await client.delete(type, key, { preconditions, propagationPolicy: 'Background' });
      } else if (owner === 'changed') {
        const what = `${object.kind} ${keyString(key)}`;
        problems.push(`${what} is left out now, but others have changed it: ${removal}`);
      }
    } catch (err) {
      signal.throwIfAborted();
      if (isNotFound(err)) continue;
      problems.push(`${object.kind} ${keyString(key)} is still there: ${errorMessage(err)}`);
    }
  }
  return problems;
}

// Every object has them, and many replicas are still the same thing.
const NOBODYS_FIELDS = ['f:metadata', 'f:status'];

/** Whose an object is, by who has written what it asks for: ours, ours and then somebody else's, or never ours. Pure. */
export function ownerOf({ managedFields = [] }: ObjectMeta): 'ours' | 'changed' | 'others' {
  const isOurs = managedFields.some(
    ({ manager, operation }) => manager === FIELD_MANAGER && operation === 'Apply',
  );
  if (!isOurs) return 'others';
  const isChanged = managedFields.some(({ manager, operation, subresource, fieldsV1 }) => {
    if (subresource || (manager === FIELD_MANAGER && operation === 'Apply')) return false;
    return Object.entries(fieldsV1 ?? {}).some(([name, fields]) => {
      if (name === 'f:spec')
        return Object.keys(fields as object).some((one) => one !== 'f:replicas');
      return name.startsWith('f:') && !NOBODYS_FIELDS.includes(name);
    });
  });
  return isChanged ? 'changed' : 'ours';
}

interface ResourceList {
  readonly resources: readonly { name: string; kind: string; namespaced: boolean }[];
}

/** Kind → path, as the API server's discovery has it. Each group is asked for once. */
class ResourceTypes {
  readonly #client: Client;
  readonly #lists = new Map<string, ResourceList>();

  constructor(client: Client) {
    this.#client = client;
  }

  async of({ apiVersion, kind }: KubeObject, signal: AbortSignal): Promise<ResourceType> {
    const { resources } = this.#lists.get(apiVersion) ?? (await this.#read(apiVersion, signal));
    const found = resources.find((entry) => entry.kind === kind && !entry.name.includes('/'));
    if (!found) throw new Error(`The API server does not know ${apiVersion} ${kind}`);
    const [version = '', group = ''] = apiVersion.split('/').reverse();
    return { group, version, kind, resource: found.name, namespaced: found.namespaced };
  }

  async #read(apiVersion: string, signal: AbortSignal): Promise<ResourceList> {
    const path = `/${apiVersion.includes('/') ? 'apis' : 'api'}/${apiVersion}`;
    const list = (await this.#client.raw('GET', path, undefined, signal)) as ResourceList;
    this.#lists.set(apiVersion, list);
    return list;
  }
}
