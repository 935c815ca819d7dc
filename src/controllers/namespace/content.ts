import { ApiError, isNotFound } from '../../api/errors.ts';
import { apiVersionOf, PODS } from '../../api/resource-types.ts';
import type { PartialObject } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import { collectionPath } from '../../client/paths.ts';
import { errorMessage } from '../../util/errors.ts';
import { type DiscoveredType, discover } from '../discovery.ts';

/** What is still in a namespace after its content was told to go. */
export interface Remains {
  /** Objects left, by `RESOURCE.GROUP`. */
  readonly counts: Map<string, number>;
  /** Objects left that wait for a finalizer, by its name. */
  readonly finalizers: Map<string, number>;
  readonly failures: string[];
  readonly discoveryFailures: readonly string[];
}

/**
 * Deletes everything in a namespace, Pods first: what they use (volumes, policies, secrets) stays until the last of them
 * has stopped (KEP-5080). Answers what is still there.
 */
export async function deleteContent(
  client: Client,
  namespace: string,
  signal: AbortSignal,
): Promise<Remains> {
  const { types, failed } = await discover(client, signal);
  const remains: Remains = {
    counts: new Map(),
    finalizers: new Map(),
    failures: [],
    discoveryFailures: failed,
  };
  const deletable = types.filter(
    ({ namespaced, verbs }) => namespaced && verbs.includes('delete') && verbs.includes('list'),
  );
  const isPods = (type: DiscoveredType) => type.resource === PODS.resource && type.group === '';
  await deleteAll(client, namespace, deletable.filter(isPods), remains);
  if (remains.counts.size > 0 || remains.failures.length > 0) return remains;
  await deleteAll(
    client,
    namespace,
    deletable.filter((type) => !isPods(type)),
    remains,
  );
  return remains;
}

async function deleteAll(
  client: Client,
  namespace: string,
  types: readonly DiscoveredType[],
  remains: Remains,
): Promise<void> {
  for (const type of types) {
    try {
      count(type, await deleteType(client, namespace, type), remains);
    } catch (err) {
      // A kind that went away meanwhile has no objects either.
      if (isNotFound(err) || (err instanceof ApiError && err.code === 405)) continue;
      remains.failures.push(`${apiVersionOf(type)} ${type.resource}: ${errorMessage(err)}`);
    }
  }
}

/** Answers what is left of a kind. Most kinds have nothing: those cost one read. */
async function deleteType(
  client: Client,
  namespace: string,
  type: DiscoveredType,
): Promise<PartialObject[]> {
  const items = await listType(client, namespace, type);
  if (items.length === 0) return [];
  const options = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background' };
  if (type.verbs.includes('deletecollection')) {
    await client.raw('DELETE', collectionPath(type, namespace), options);
  } else {
    for (const { metadata } of items) {
      if (metadata.deletionTimestamp) continue;
      await client
        .delete(type, metadata, { propagationPolicy: 'Background' })
        .catch(ignoreNotFound);
    }
  }
  return listType(client, namespace, type);
}

async function listType(
  client: Client,
  namespace: string,
  { group, version, resource, kind }: DiscoveredType,
): Promise<PartialObject[]> {
  const type = { group, version, resource, kind, namespaced: true };
  const list = await client.list<PartialObject>(type, { namespace, metadataOnly: true });
  return list.items;
}

function count(type: DiscoveredType, left: readonly PartialObject[], remains: Remains): void {
  if (left.length === 0) return;
  const name = type.group === '' ? `${type.resource}.` : `${type.resource}.${type.group}`;
  remains.counts.set(name, left.length);
  for (const { metadata } of left) {
    for (const finalizer of metadata.finalizers ?? []) {
      remains.finalizers.set(finalizer, (remains.finalizers.get(finalizer) ?? 0) + 1);
    }
  }
}

function ignoreNotFound(err: unknown): void {
  if (!isNotFound(err)) throw err;
}
