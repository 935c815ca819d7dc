import { ApiError, isConflict, isNotFound } from '../../api/errors.ts';
import { apiVersionOf, type ObjectKey, type ResourceType } from '../../api/resource-types.ts';
import {
  CUSTOM_RESOURCE_DEFINITIONS,
  STORAGE_VERSION_MIGRATIONS,
} from '../../api/system-resource-types.ts';
import type {
  CustomResourceDefinition,
  PartialObject,
  StorageVersionMigration,
} from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import { DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { errorMessage } from '../../util/errors.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { type DiscoveredType, discover } from '../discovery.ts';
import { StatusWriter } from '../status-writer.ts';
import { unlessGone } from '../unless-gone.ts';
import { isOver, withVerdict } from './migration-status.ts';

const NAME = 'storage-version-migrator-controller';
const PAGE = 500;

interface Deps extends Pick<ControllerContext, 'client' | 'clock'> {
  readonly migrations: StatusWriter<StorageVersionMigration>;
}

/** Has all objects of a resource written again, so that they are stored as they would be today (KEP-4192). */
export function storageVersionMigrator(context: ControllerContext): Runnable {
  const { client, clock, informers } = context;
  const informer = informers.get(STORAGE_VERSION_MIGRATIONS);
  const migrations = new StatusWriter(client, informer);
  const controller = newController(context, new Migrator({ client, clock, migrations }));
  controller.watch(informer);
  return controller;
}

class Migrator implements Reconciler {
  readonly name = NAME;
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  async reconcile(key: ObjectKey, signal: AbortSignal): Promise<Result> {
    const { client, clock, migrations } = this.#deps;
    let migration = migrations.get(key);
    if (!migration || isOver(migration)) return DONE;
    const { group = '', resource } = migration.spec?.resource ?? { resource: '' };
    const { types } = await discover(client, signal);
    const type = types.find((one) => one.group === group && one.resource === resource);
    const problem = unfit(type);
    if (problem !== undefined || !type) {
      const failed = withVerdict(migration.status ?? {}, 'Failed', clock.now(), problem);
      await migrations.write(migration, failed);
      return DONE;
    }
    const definition = await definitionOf(client, type, signal);
    const resourceVersion =
      migration.status?.resourceVersion ?? (await newestRevision(client, type, signal));
    const begun = { ...migration.status, resourceVersion };
    migration = await migrations.write(migration, withVerdict(begun, 'Running', clock.now()));
    const failure = await rewriteAll(client, type, signal);
    if (failure === undefined && definition) await noteStored(client, definition, signal);
    const [verdict, message] =
      failure === undefined
        ? (['Succeeded', ''] as const)
        : (['Failed', `migration encountered unhandled error: ${failure}`] as const);
    const status = withVerdict(migration.status ?? {}, verdict, clock.now(), message);
    await migrations.write(migration, status);
    return DONE;
  }
}

function unfit(type: DiscoveredType | undefined): string | undefined {
  if (!type) return 'resource does not exist in discovery';
  if (type.verbs.includes('list') && type.verbs.includes('patch')) return undefined;
  return 'resource cannot be listed and patched';
}

/** Later objects are stored as they would be today anyway. */
async function newestRevision(
  client: Client,
  type: ResourceType<unknown>,
  signal: AbortSignal,
): Promise<string> {
  const options = { limit: 1, metadataOnly: true };
  const list = await client.list(type as ResourceType<PartialObject>, options, signal);
  return list.metadata.resourceVersion ?? '';
}

/** Answers what went wrong with an object, unless it may go better the next time: then it throws. */
async function rewriteAll(
  client: Client,
  type: DiscoveredType,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { group, version, resource, kind, namespaced } = type;
  const plain: ResourceType<PartialObject> = { group, version, resource, kind, namespaced };
  let token: string | undefined;
  do {
    const page = { limit: PAGE, metadataOnly: true, continue: token };
    const { items, metadata } = await client.list(plain, page, signal);
    for (const item of items) {
      try {
        await rewrite(client, plain, item);
      } catch (err) {
        if (!(err instanceof ApiError) || err.code === 429 || err.code >= 500) throw err;
        return `${item.metadata.namespace ?? ''}/${item.metadata.name}: ${errorMessage(err)}`;
      }
    }
    token = metadata.continue || undefined;
  } while (token !== undefined);
  return undefined;
}

/** Applies nothing. Whoever changed the object meanwhile has written it anew; one that is gone needs it not. */
async function rewrite(
  client: Client,
  type: ResourceType<PartialObject>,
  { metadata: { namespace = '', name, uid, resourceVersion } }: PartialObject,
): Promise<void> {
  const metadata = { uid, resourceVersion };
  const body = { apiVersion: apiVersionOf(type), kind: type.kind, metadata };
  const how = { fieldManager: NAME };
  try {
    await client.patch(type, { namespace, name }, { type: 'apply', body }, how);
  } catch (err) {
    if (!isConflict(err) && !isNotFound(err)) throw err;
  }
}

/** The definition of a custom kind, as it was before its objects were written again. */
async function definitionOf(
  client: Client,
  { group, resource }: DiscoveredType,
  signal: AbortSignal,
): Promise<CustomResourceDefinition | undefined> {
  if (!group.includes('.')) return undefined;
  const key = { namespace: '', name: `${resource}.${group}` };
  return unlessGone(client.get(CUSTOM_RESOURCE_DEFINITIONS, key, signal));
}

/** Says that only the version of today is stored, so that the others may go; unless the definition has changed meanwhile. */
async function noteStored(
  client: Client,
  before: CustomResourceDefinition,
  signal: AbortSignal,
): Promise<void> {
  const key = { namespace: '', name: before.metadata.name };
  const now = await unlessGone(client.get(CUSTOM_RESOURCE_DEFINITIONS, key, signal));
  if (!now || now.metadata.generation !== before.metadata.generation) return;
  const stored = now.spec.versions.find(({ storage }) => storage)?.name ?? '';
  const known = now.status?.storedVersions ?? [];
  if (known.length === 1 && known[0] === stored) return;
  const { uid, resourceVersion } = now.metadata;
  const body = { metadata: { uid, resourceVersion }, status: { storedVersions: [stored] } };
  const how = { subresource: 'status' };
  await unlessGone(client.patch(CUSTOM_RESOURCE_DEFINITIONS, key, { type: 'merge', body }, how));
}
