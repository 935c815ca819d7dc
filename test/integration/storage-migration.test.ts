import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CUSTOM_RESOURCE_DEFINITIONS,
  STORAGE_VERSION_MIGRATIONS,
} from '../../src/api/system-resource-types.ts';
import type { RestClient } from '../../src/client/rest-client.ts';
import { createClient } from '../../src/client/rest-client.ts';
import { storageVersionMigrator } from '../../src/controllers/storage-version-migrator/migrator-controller.ts';
import { World } from '../../src/controllers/world.fake.ts';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';

const API = 'storagemigration.k8s.io/v1beta1';
const THINGS = '/apis/example.com/v1/namespaces/default/things';

let server: TestApiServer;
let client: RestClient;
let world: World;
beforeAll(async () => {
  server = await startApiServer({ optionalApis: [API] });
  client = await createClient(server.kubeconfig);
  world = new World(client as never);
  world.start([storageVersionMigrator]);
});
afterAll(async () => {
  await world?.stop();
  client?.close();
  await server?.stop();
});

const version = (name: string, storage: boolean) => {
  const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  return { name, served: true, storage, schema: { openAPIV3Schema: open } };
};
const migrate = (name: string, resource: object) =>
  client.create(STORAGE_VERSION_MIGRATIONS, {
    ...{ apiVersion: API, kind: 'StorageVersionMigration', metadata: { name } },
    spec: { resource },
  } as never);
const verdict = (name: string) =>
  eventually(`an end of ${name}`, async () => {
    const { status } = await client.get(STORAGE_VERSION_MIGRATIONS, { namespace: '', name });
    const ends = (status?.conditions ?? []).filter(({ type }) => type !== 'Running');
    if (ends.length === 0) return undefined;
    return { status, end: ends.map((c) => `${c.type} ${c.reason}`).join() };
  });
const definition = () =>
  client.get(CUSTOM_RESOURCE_DEFINITIONS, { namespace: '', name: 'things.example.com' });

describe('a storage version migration', () => {
  it('has custom objects stored in the version of today, and says that others are no more', async () => {
    const names = { plural: 'things', singular: 'thing', kind: 'Thing' };
    await client.create(CUSTOM_RESOURCE_DEFINITIONS, {
      ...{ apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition' },
      metadata: { name: 'things.example.com' },
      spec: {
        ...{ group: 'example.com', names, scope: 'Namespaced' },
        versions: [version('v1', true), version('v2', false)],
      },
    } as never);
    await eventually('the kind', async () => {
      const body = { apiVersion: 'example.com/v1', kind: 'Thing', metadata: { name: 'one' } };
      return (await server.request('POST', THINGS, { body })).status === 201;
    });
    const spec = { versions: [version('v1', false), version('v2', true)] };
    const how = { type: 'merge', body: { spec } } as const;
    const key = { namespace: '', name: 'things.example.com' };
    await client.patch(CUSTOM_RESOURCE_DEFINITIONS, key, how);
    const stored = async () =>
      String((await server.storage.get('/registry/example.com/things/default/one'))?.value);
    expect(await stored()).toContain('"apiVersion":"example.com/v1"');
    expect((await definition()).status?.storedVersions).toEqual(['v1', 'v2']);

    await migrate('things', { group: 'example.com', resource: 'things' });
    const { end, status } = await verdict('things');
    expect(end).toBe('Succeeded StorageVersionMigrationSucceeded');
    expect(Number(status?.resourceVersion)).toBeGreaterThan(0);
    expect(status?.conditions?.find(({ type }) => type === 'Running')?.status).toBe('False');
    expect(await stored()).toContain('"apiVersion":"example.com/v2"');
    expect(await stored()).not.toContain('storage-version-migrator');
    expect((await definition()).status?.storedVersions).toEqual(['v2']);
  });

  it('of what does not exist fails, and says so', async () => {
    await migrate('nothing', { group: 'example.com', resource: 'nothings' });
    const { end, status } = await verdict('nothing');
    expect(end).toBe('Failed StorageVersionMigrationFailed');
    expect(status?.conditions?.[0]?.message).toBe('resource does not exist in discovery');
  });

  it('of a built-in kind leaves its objects as they are', async () => {
    const path = '/api/v1/namespaces/default/configmaps';
    await server.request('POST', path, { body: { metadata: { name: 'same' } } });
    const revision = async () =>
      (await server.request('GET', `${path}/same`)).body.metadata.resourceVersion;
    const before = await revision();
    await migrate('maps', { group: '', resource: 'configmaps' });
    expect((await verdict('maps')).end).toBe('Succeeded StorageVersionMigrationSucceeded');
    expect(await revision()).toBe(before);
  });

  it.each([
    ['list', 'example.com', 'things', ''],
    ['patch', 'example.com', 'things', ''],
    ['update', 'storagemigration.k8s.io', 'storageversionmigrations', 'status'],
    ['patch', 'apiextensions.k8s.io', 'customresourcedefinitions', 'status'],
  ])('may %s %s/%s/%s', async (verb, group, resource, subresource) => {
    const user = 'system:serviceaccount:kube-system:storage-version-migrator-controller';
    const resourceAttributes = { verb, group, resource, subresource };
    const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
    const { body } = await server.request('POST', path, {
      body: { spec: { user, resourceAttributes } },
    });
    expect(body.status.allowed).toBe(true);
  });

  it('has an API only where it is asked for', async () => {
    const other = await startApiServer();
    expect((await other.request('GET', `/apis/${API}`)).status).toBe(404);
    await other.stop();
  });
});
