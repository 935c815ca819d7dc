import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RESOURCE_QUOTAS } from '../../src/api/resource-types.ts';
import { eventually } from '../support/eventually.ts';
import { Workloads } from '../support/workloads.ts';

// What upstream's conformance tests of ResourceQuotas ask for: the life of each kind of object, and of each scope.

let world: Workloads;
beforeAll(async () => {
  world = await Workloads.start();
});
afterAll(() => world?.stop());

let count = 0;
type Amounts = Record<string, string>;

/** A namespace with a quota whose use is counted. */
async function quota(hard: Amounts, spec: object = {}): Promise<string> {
  const namespace = `quota-${++count}`;
  const { client } = world;
  await client.raw('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
  await eventually('its account', () =>
    client.raw('GET', `/api/v1/namespaces/${namespace}/serviceaccounts/default`),
  );
  await client.create(RESOURCE_QUOTAS, {
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { namespace, name: 'q' },
    spec: { hard, ...spec },
  } as never);
  await eventually('a counted quota', async () => {
    const { status } = await client.get(RESOURCE_QUOTAS, { namespace, name: 'q' });
    return Object.keys(hard).every((name) => status?.used?.[name] !== undefined);
  });
  return namespace;
}

const used = (namespace: string, wanted: Amounts) =>
  eventually(`a use of ${JSON.stringify(wanted)}`, async () => {
    const found = await world.client.get(RESOURCE_QUOTAS, { namespace, name: 'q' });
    expect(found.status?.used).toMatchObject(wanted);
    return true;
  });

const post = (namespace: string, path: string, body: object) => {
  const [group, resource] = path.split(' ');
  const base = group === 'v1' ? '/api/v1' : `/apis/${group}`;
  return world.client.raw('POST', `${base}/namespaces/${namespace}/${resource}`, body);
};
const remove = (namespace: string, path: string, name: string) => {
  const [group, resource] = path.split(' ');
  const base = group === 'v1' ? '/api/v1' : `/apis/${group}`;
  const query = 'gracePeriodSeconds=0&propagationPolicy=Background';
  const url = `${base}/namespaces/${namespace}/${resource}/${name}?${query}`;
  return world.client.raw('DELETE', url);
};

const pod = (name: string, spec: object = {}, requests?: Amounts) => ({
  metadata: { name, labels: { app: name } },
  spec: {
    // They stay where they are: only what they ask for counts.
    schedulerName: 'nobody',
    containers: [{ name: 'c', image: 'x', ...(requests ? { resources: { requests } } : {}) }],
    ...spec,
  },
});
const template = { metadata: { labels: { app: 'w' } }, spec: pod('w').spec };
const selector = { matchLabels: { app: 'w' } };

describe('a ResourceQuota', () => {
  it.each<[string, string, object, Amounts, Amounts]>([
    ['a secret', 'v1 secrets', { metadata: { name: 'o' } }, { secrets: '0' }, { secrets: '1' }],
    [
      'a config map',
      'v1 configmaps',
      { metadata: { name: 'o' } },
      { configmaps: '1' }, // the authority's
      { configmaps: '2' },
    ],
    [
      'a claim, and its class',
      'v1 persistentvolumeclaims',
      {
        metadata: { name: 'o' },
        spec: {
          ...{ storageClassName: 'gold', accessModes: ['ReadWriteOnce'] },
          resources: { requests: { storage: '1Gi' } },
        },
      },
      { persistentvolumeclaims: '0', 'requests.storage': '0' },
      {
        persistentvolumeclaims: '1',
        'requests.storage': '1Gi',
        'gold.storageclass.storage.k8s.io/requests.storage': '1Gi',
        'gold.storageclass.storage.k8s.io/persistentvolumeclaims': '1',
      },
    ],
    [
      'a Service of a node port',
      'v1 services',
      { metadata: { name: 'o' }, spec: { type: 'NodePort', ports: [{ port: 80 }] } },
      { services: '0', 'services.nodeports': '0', 'services.loadbalancers': '0' },
      { services: '1', 'services.nodeports': '1', 'services.loadbalancers': '0' },
    ],
    [
      'a ReplicaSet',
      'apps/v1 replicasets',
      { metadata: { name: 'o' }, spec: { replicas: 0, selector, template } },
      { 'count/replicasets.apps': '0' },
      { 'count/replicasets.apps': '1' },
    ],
    [
      'a ReplicationController',
      'v1 replicationcontrollers',
      { metadata: { name: 'o' }, spec: { replicas: 0, selector: { app: 'w' }, template } },
      { replicationcontrollers: '0' },
      { replicationcontrollers: '1' },
    ],
    [
      'a Pod, and what it asks for',
      'v1 pods',
      pod('o', {}, { cpu: '500m', memory: '252Mi', 'ephemeral-storage': '30Gi' }),
      { pods: '0', cpu: '0' },
      { pods: '1', cpu: '500m', memory: '252Mi', 'requests.ephemeral-storage': '30Gi' },
    ],
  ])('follows the life of %s', async (...[, path, body, before, after]) => {
    const hard = Object.fromEntries(Object.keys({ ...before, ...after }).map((n) => [n, '100Gi']));
    const namespace = await quota(hard);
    await used(namespace, before);
    await post(namespace, path, body);
    await used(namespace, after);
    await remove(namespace, path, 'o');
    await used(namespace, before);
  });

  it('refuses what would exceed it, and what does not say what it asks for', async () => {
    const namespace = await quota({ pods: '2', cpu: '1' });
    await post(namespace, 'v1 pods', pod('fits', {}, { cpu: '500m' }));
    await expect(post(namespace, 'v1 pods', pod('large', {}, { cpu: '600m' }))).rejects.toThrow(
      'exceeded quota: q, requested: cpu=600m, used: cpu=500m, limited: cpu=1',
    );
    await expect(post(namespace, 'v1 pods', pod('silent'))).rejects.toThrow('must specify cpu');
    await used(namespace, { pods: '1', cpu: '500m' });
  });

  it.each([
    ['Terminating', pod('o', { activeDeadlineSeconds: 3600 }), pod('other')],
    ['NotTerminating', pod('o'), pod('other', { activeDeadlineSeconds: 3600 })],
    ['BestEffort', pod('o'), pod('other', {}, { cpu: '1m' })],
    ['NotBestEffort', pod('o', {}, { cpu: '1m' }), pod('other')],
  ])('with the scope %s counts only what is in it', async (scope, inside, outside) => {
    const namespace = await quota({ pods: '5' }, { scopes: [scope] });
    await post(namespace, 'v1 pods', outside);
    await post(namespace, 'v1 pods', inside);
    await used(namespace, { pods: '1' });
    await remove(namespace, 'v1 pods', 'o');
    await used(namespace, { pods: '0' });
  });

  it('can be changed, has a status of its own, and can be deleted', async () => {
    const namespace = await quota({ configmaps: '5' });
    const key = { namespace, name: 'q' };
    const { client } = world;
    const hard = { configmaps: '9' };
    await client.patch(RESOURCE_QUOTAS, key, { type: 'merge', body: { spec: { hard } } });
    await eventually('its new limit', async () => {
      return (await client.get(RESOURCE_QUOTAS, key)).status?.hard?.configmaps === '9';
    });
    const body = { status: { hard: { configmaps: '500' } } };
    const how = { subresource: 'status' };
    const told = await client.patch(RESOURCE_QUOTAS, key, { type: 'merge', body }, how);
    expect(told.status?.hard).toEqual({ configmaps: '500' });
    await client.delete(RESOURCE_QUOTAS, key);
    await expect(client.get(RESOURCE_QUOTAS, key)).rejects.toThrow('not found');
  });
});
