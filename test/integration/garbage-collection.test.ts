import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isNotFound } from '../../src/api/errors.ts';
import { CONFIG_MAPS, EVENTS, NAMESPACES, PODS } from '../../src/api/resource-types.ts';
import type { ConfigMap, OwnerReference } from '../../src/api/types.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';

// Owners and dependents of every sort: what goes, what stays, and what is said about it.

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane({ controllers: true });
  const metadata = { name: 'elsewhere' };
  await plane.client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata });
});
afterAll(() => plane?.stop());

const key = (name: string, namespace = 'default') => ({ namespace, name });

interface Extras {
  readonly namespace?: string;
  readonly owners?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
}

function create(name: string, extras: Extras = {}): Promise<ConfigMap> {
  const { namespace = 'default', owners, finalizers } = extras;
  const metadata = {
    ...key(name, namespace),
    ...(owners ? { ownerReferences: [...owners] } : {}),
    ...(finalizers ? { finalizers: [...finalizers] } : {}),
  };
  return plane.client.create(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata });
}

function owned({ metadata }: ConfigMap, more: Partial<OwnerReference> = {}): OwnerReference {
  const { name, uid } = metadata;
  return { apiVersion: 'v1', kind: 'ConfigMap', name, uid, ...more };
}

const find = async (name: string, namespace?: string): Promise<ConfigMap | undefined> => {
  try {
    return await plane.client.get(CONFIG_MAPS, key(name, namespace));
  } catch (err) {
    if (isNotFound(err)) return undefined;
    throw err;
  }
};
const gone = (name: string) =>
  eventually(`${name} gone`, async () => (await find(name)) === undefined);
const remove = (name: string, propagationPolicy: 'Background' | 'Foreground' | 'Orphan') =>
  plane.client.delete(CONFIG_MAPS, key(name), { propagationPolicy });
const free = (name: string) => {
  const body = { metadata: { finalizers: null } };
  return plane.client.patch(CONFIG_MAPS, key(name), { type: 'merge', body });
};

describe('an owner reference', () => {
  it('to an owner of another UID, or to none, takes the dependent away and nothing else', async () => {
    const owner = await create('owner');
    await create('wrong-uid', { owners: [owned(owner, { uid: randomUUID() })] });
    await create('no-owner', { owners: [owned(owner, { name: 'nobody', uid: randomUUID() })] });
    await create('right', { owners: [owned(owner)] });
    await gone('wrong-uid');
    await gone('no-owner');
    expect(await find('owner')).toBeDefined();
    expect(await find('right')).toBeDefined();
  });

  it('that is wrong is dropped beside one that is right', async () => {
    const owner = await create('solid');
    await create('both', { owners: [owned(owner), owned(owner, { uid: randomUUID() })] });
    const left = await eventually('one reference', async () => {
      const owners = (await find('both'))?.metadata.ownerReferences ?? [];
      return owners.length === 1 ? owners : undefined;
    });
    expect(left[0]?.uid).toBe(owner.metadata.uid);
  });

  it('into another namespace is none, and an event says so', async () => {
    const owner = await create('far', { namespace: 'elsewhere' });
    const dependent = await create('near', { owners: [owned(owner)] });
    await gone('near');
    expect(await find('far', 'elsewhere')).toBeDefined();
    const event = await eventually('an event', async () => {
      const { items } = await plane.client.list(EVENTS, { namespace: 'default' });
      return items.find((one) => one.involvedObject.uid === dependent.metadata.uid);
    });
    expect(event).toMatchObject({ type: 'Warning', reason: 'OwnerRefInvalidNamespace' });
  });
});

describe('a deletion', () => {
  it('in the foreground waits for dependents that block it, whatever keeps them', async () => {
    const owner = await create('front');
    const owners = [owned(owner, { blockOwnerDeletion: true })];
    await create('blocker', { owners, finalizers: ['example.com/kept'] });
    await create('bystander', { owners: [owned(owner)] });
    await remove('front', 'Foreground');
    await eventually('the blocker is told to go', async () => {
      return (await find('blocker'))?.metadata.deletionTimestamp;
    });
    await gone('bystander');
    expect((await find('front'))?.metadata.finalizers).toEqual(['foregroundDeletion']);
    await free('blocker');
    await gone('front');
  });

  it('in the foreground ends where owners go round in a circle', async () => {
    const a = await create('circle-a');
    const b = await create('circle-b', { owners: [owned(a, { blockOwnerDeletion: true })] });
    const body = { metadata: { ownerReferences: [owned(b, { blockOwnerDeletion: true })] } };
    await plane.client.patch(CONFIG_MAPS, key('circle-a'), { type: 'merge', body });
    await remove('circle-a', 'Foreground');
    await gone('circle-a');
    await gone('circle-b');
  });

  it('that leaves orphans takes only the reference', async () => {
    const owner = await create('parent');
    await create('orphan', { owners: [owned(owner)] });
    await remove('parent', 'Orphan');
    await gone('parent');
    expect((await find('orphan'))?.metadata.ownerReferences ?? []).toEqual([]);
  });

  it('spares a dependent that another owner keeps', async () => {
    const [going, staying] = [await create('going'), await create('staying')];
    const owners = [owned(going, { blockOwnerDeletion: true }), owned(staying)];
    await create('shared', { owners });
    await remove('going', 'Foreground');
    await gone('going');
    expect((await find('shared'))?.metadata.ownerReferences).toEqual([owned(staying)]);
  });

  it('reaches objects of custom kinds, and from them', async () => {
    const { client } = plane;
    const group = 'example.com';
    await client.raw('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
      metadata: { name: `widgets.${group}` },
      spec: {
        ...{ group, scope: 'Namespaced', names: { plural: 'widgets', kind: 'Widget' } },
        versions: [
          {
            ...{ name: 'v1', served: true, storage: true },
            schema: { openAPIV3Schema: { type: 'object' } },
          },
        ],
      },
    });
    const path = `/apis/${group}/v1/namespaces/default/widgets`;
    const post = (name: string, ownerReferences: OwnerReference[] = []) =>
      client.raw('POST', path, {
        ...{ apiVersion: `${group}/v1`, kind: 'Widget', metadata: { name, ownerReferences } },
      }) as Promise<ConfigMap>;
    const root = await create('root');
    const widget = await eventually('a Widget', () => post('middle', [owned(root)]));
    const { name, uid } = widget.metadata;
    await create('leaf', { owners: [{ apiVersion: `${group}/v1`, kind: 'Widget', name, uid }] });
    await remove('root', 'Background');
    await gone('leaf');
    const { items } = (await client.raw('GET', path)) as { items: object[] };
    expect(items).toEqual([]);
  });
});

describe('a namespace', () => {
  it('that goes loses its Pods first: what they use stays until the last has ended', async () => {
    const { client } = plane;
    const metadata = { name: 'ordered' };
    await client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata });
    await create('used', { namespace: 'ordered' });
    const pod = { ...key('last', 'ordered'), finalizers: ['example.com/not-yet'] };
    const spec = { containers: [{ name: 'c', image: 'x' }], automountServiceAccountToken: false };
    await eventually('the account of the Pod', () =>
      client.create(PODS, { ...{ apiVersion: 'v1', kind: 'Pod', metadata: pod }, spec } as never),
    );
    await client.delete(NAMESPACES, key('ordered', ''));
    const message = 'Some resources are remaining: pods. has 1 resource instances';
    await eventually('it says what remains', async () => {
      const { status } = await client.get(NAMESPACES, key('ordered', ''));
      return status?.conditions?.some((condition) => condition.message === message);
    });
    expect(await find('used', 'ordered')).toBeDefined();
    const body = { metadata: { finalizers: null } };
    await client.patch(PODS, key('last', 'ordered'), { type: 'merge', body });
    await eventually('no namespace', () =>
      client.get(NAMESPACES, key('ordered', '')).then(() => false, isNotFound),
    );
  });

  it('that cannot go says what remains, and goes when that is freed', async () => {
    const { client } = plane;
    const metadata = { name: 'stuck' };
    await client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata });
    await create('kept', { namespace: 'stuck', finalizers: ['example.com/kept'] });
    await create('loose', { namespace: 'stuck' });
    await client.delete(NAMESPACES, key('stuck', ''));
    const conditions = await eventually('conditions', async () => {
      const { status } = await client.get(NAMESPACES, key('stuck', ''));
      return status?.conditions?.some((c) => c.type === 'NamespaceFinalizersRemaining')
        ? status.conditions
        : undefined;
    });
    const said = (type: string) => conditions.find((condition) => condition.type === type);
    expect(said('NamespaceContentRemaining')).toMatchObject({
      status: 'True',
      message: 'Some resources are remaining: configmaps. has 1 resource instances',
    });
    expect(said('NamespaceFinalizersRemaining')).toMatchObject({
      status: 'True',
      message:
        'Some content in the namespace has finalizers remaining: example.com/kept in 1 resource instances',
    });
    expect(await find('loose', 'stuck')).toBeUndefined();
    const body = { metadata: { finalizers: null } };
    await client.patch(CONFIG_MAPS, key('kept', 'stuck'), { type: 'merge', body });
    await eventually('no namespace', () =>
      client.get(NAMESPACES, key('stuck', '')).then(() => false, isNotFound),
    );
  });
});
