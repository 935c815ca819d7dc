import { describe, expect, it } from 'vitest';
import { compareVersions } from './api-groups.ts';
import { Discovery } from './discovery.ts';
import type { ResourceKind } from './resource-kind.ts';
import { builtinKinds } from './resources/registry.ts';

const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
const KUBECTL = `${AGGREGATED},${AGGREGATED.replace('v=v2', 'v=v2beta1')},application/json`;

function discovery(kinds: () => readonly ResourceKind[] = builtinKinds): Discovery {
  return new Discovery({ kinds, serverAddress: '10.0.0.1:6443' });
}

function read(path: string, accept?: string, from = discovery()) {
  const document = from.handle(path, accept);
  return document && JSON.parse(document.bytes.toString());
}

describe('Discovery', () => {
  it('tells the versions of the core group at /api', () => {
    expect(read('/api')).toEqual({
      kind: 'APIVersions',
      versions: ['v1'],
      serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: '10.0.0.1:6443' }],
    });
  });

  it('lists the named groups at /apis in order of priority', () => {
    const { groups } = read('/apis');
    expect(groups.find((g: { name: string }) => g.name === 'apps')).toEqual({
      name: 'apps',
      versions: [{ groupVersion: 'apps/v1', version: 'v1' }],
      preferredVersion: { groupVersion: 'apps/v1', version: 'v1' },
    });
    const names = groups.map((g: { name: string }) => g.name);
    expect(names).not.toContain('');
    expect(names.indexOf('events.k8s.io')).toBeLessThan(names.indexOf('coordination.k8s.io'));
    expect(read('/apis/apps')).toMatchObject({ kind: 'APIGroup', apiVersion: 'v1', name: 'apps' });
  });

  it('lists resources and sub-resources of a version by name, with verbs, short names and hashes', () => {
    const list = read('/api/v1/');
    const names = list.resources.map((r: { name: string }) => r.name);
    expect(names).toEqual(names.toSorted());
    expect(list).toMatchObject({ kind: 'APIResourceList', groupVersion: 'v1' });
    expect(list.apiVersion).toBeUndefined();
    expect(list.resources.find((r: { name: string }) => r.name === 'pods')).toEqual({
      name: 'pods',
      singularName: 'pod',
      namespaced: true,
      kind: 'Pod',
      verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
      shortNames: ['po'],
      categories: ['all'],
      storageVersionHash: 'xPOwRZ+Yhw8=',
    });
    expect(
      read('/apis/apps/v1').resources.find((r: { name: string }) => r.name === 'deployments/scale'),
    ).toEqual({
      name: 'deployments/scale',
      singularName: '',
      namespaced: true,
      group: 'autoscaling',
      version: 'v1',
      kind: 'Scale',
      verbs: ['get', 'patch', 'update'],
    });
  });

  it('answers the aggregated list to those who ask for it', () => {
    const document = discovery().handle('/apis', KUBECTL);
    expect(document?.contentType).toBe(AGGREGATED);
    const list = JSON.parse(String(document?.bytes));
    expect(list).toMatchObject({
      kind: 'APIGroupDiscoveryList',
      apiVersion: 'apidiscovery.k8s.io/v2',
    });
    const apps = list.items.find((g: { metadata: { name: string } }) => g.metadata.name === 'apps');
    const [version] = apps.versions;
    expect(version).toMatchObject({ version: 'v1', freshness: 'Current' });
    const deployments = version.resources.find(
      (r: { resource: string }) => r.resource === 'deployments',
    );
    expect(deployments).toMatchObject({
      responseKind: { group: 'apps', version: 'v1', kind: 'Deployment' },
      scope: 'Namespaced',
      singularResource: 'deployment',
      shortNames: ['deploy'],
    });
    expect(deployments.storageVersionHash).toBeUndefined();
    expect(read('/api', KUBECTL).items[0].versions[0].version).toBe('v1');
  });

  it('says the same in both forms', () => {
    const aggregated = [...read('/api', KUBECTL).items, ...read('/apis', KUBECTL).items];
    for (const { metadata, versions } of aggregated) {
      for (const { version, resources } of versions) {
        const path = metadata.name ? `/apis/${metadata.name}/${version}` : `/api/${version}`;
        const names = resources.flatMap(
          (r: { resource: string; subresources?: { subresource: string }[] }) => [
            r.resource,
            ...(r.subresources ?? []).map((s) => `${r.resource}/${s.subresource}`),
          ],
        );
        expect(read(path).resources.map((r: { name: string }) => r.name)).toEqual(names.toSorted());
      }
    }
  });

  it('gives group versions only in the plain form', () => {
    expect(discovery().handle('/apis/apps', KUBECTL)?.contentType).toBe('application/json');
  });

  it.each(['/apis/nope', '/apis/apps/v9', '/api/v9', '/apis/apps/v1/deployments', '/other'])(
    'knows nothing at %s',
    (path) => {
      expect(discovery().handle(path, undefined)).toBeUndefined();
    },
  );

  it('refuses clients that take only protobuf', () => {
    expect(() => discovery().handle('/apis', 'application/vnd.kubernetes.protobuf')).toThrow(
      expect.objectContaining({ code: 406 }),
    );
  });

  it('changes at once when kinds come and go, and with it the ETag', () => {
    let kinds = builtinKinds();
    const changing = discovery(() => kinds);
    const before = changing.handle('/apis', undefined);
    expect(changing.handle('/apis', undefined)).toBe(before);
    kinds = kinds.filter(({ group }) => group !== 'apps');
    expect(changing.handle('/apis', undefined)?.etag).not.toBe(before?.etag);
    expect(changing.handle('/apis/apps', undefined)).toBeUndefined();
  });
});

describe('compareVersions', () => {
  it('prefers stable to beta to alpha, then newer ones, then the alphabet', () => {
    const order = ['v10', 'v2', 'v1', 'v11beta2', 'v10beta3', 'v3beta1', 'v12alpha1', 'bar', 'foo'];
    expect(order.toReversed().toSorted(compareVersions)).toEqual(order);
  });
});
