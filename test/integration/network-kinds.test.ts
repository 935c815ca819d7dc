import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';

// What conformance asks of the API of Services, their endpoints, Ingresses and address ranges, one kind after the other.
let server: TestApiServer;
beforeAll(async () => {
  server = await startApiServer();
});
afterAll(() => server.stop());

interface Kind {
  readonly apiVersion: string;
  readonly kind: string;
  readonly resource: string;
  readonly namespaced: boolean;
  readonly fields: Record<string, unknown>;
  /** A change of the object, as a merge patch. */
  readonly change: Record<string, unknown>;
  /** A change of its status. */
  readonly status?: Record<string, unknown>;
  /** Names of objects where not any name will do. */
  readonly names?: readonly [string, string, string];
}

const BACKEND = { service: { name: 'web', port: { number: 80 } } };
const KINDS: readonly Kind[] = [
  {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    resource: 'ingresses',
    namespaced: true,
    fields: { spec: { defaultBackend: BACKEND } },
    change: { spec: { rules: [{ host: 'a.example.com' }] } },
    status: { loadBalancer: { ingress: [{ ip: '169.1.1.1' }] } },
  },
  {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IngressClass',
    resource: 'ingressclasses',
    namespaced: false,
    fields: { spec: { controller: 'example.com/controller' } },
    change: { metadata: { annotations: { patched: 'true' } } },
  },
  {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    resource: 'endpointslices',
    namespaced: true,
    fields: { addressType: 'IPv4', endpoints: [{ addresses: ['1.2.3.4'] }], ports: [] },
    change: { endpoints: [{ addresses: ['4.3.2.1'] }] },
  },
  {
    apiVersion: 'v1',
    kind: 'Endpoints',
    resource: 'endpoints',
    namespaced: true,
    fields: { subsets: [{ addresses: [{ ip: '10.0.0.24' }], ports: [{ port: 80 }] }] },
    change: { subsets: [{ addresses: [{ ip: '10.0.0.25' }], ports: [{ port: 8080 }] }] },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    resource: 'services',
    namespaced: true,
    fields: { spec: { type: 'LoadBalancer', ports: [{ port: 80 }] } },
    change: { metadata: { annotations: { patched: 'true' } } },
    status: { loadBalancer: { ingress: [{ ip: '203.0.113.1' }] } },
  },
  {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    resource: 'networkpolicies',
    namespaced: true,
    fields: { spec: { podSelector: {}, policyTypes: ['Ingress'] } },
    change: { spec: { podSelector: { matchLabels: { app: 'web' } } } },
  },
  {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IPAddress',
    resource: 'ipaddresses',
    namespaced: false,
    fields: { spec: { parentRef: { resource: 'services', name: 'web', namespace: 'default' } } },
    change: { metadata: { annotations: { patched: 'true' } } },
    names: ['192.168.6.1', '192.168.6.2', '192.168.6.3'],
  },
  {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'ServiceCIDR',
    resource: 'servicecidrs',
    namespaced: false,
    fields: { spec: { cidrs: ['10.55.0.0/24'] } },
    change: { metadata: { annotations: { patched: 'true' } } },
    status: {
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'Tested',
          message: 'patched',
          lastTransitionTime: '2026-01-01T00:00:00Z',
        },
      ],
    },
  },
];

const LABELS = { test: 'network-kinds' };
const SELECTED = '?labelSelector=test%3Dnetwork-kinds';

describe.each(KINDS)('$kind', (kind) => {
  const root = kind.apiVersion === 'v1' ? '/api/v1' : `/apis/${kind.apiVersion}`;
  const all = `${root}/${kind.resource}`;
  const collection = kind.namespaced ? `${root}/namespaces/default/${kind.resource}` : all;
  const [first, second, third] = kind.names ?? ['first', 'second', 'third'];
  const object = (name: string) => ({
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    metadata: { name, labels: LABELS },
    ...kind.fields,
  });
  const names = async (path: string) =>
    (await server.request('GET', path + SELECTED)).body.items.map(
      ({ metadata }: { metadata: { name: string } }) => metadata.name,
    );
  const eventTypes = (watch: ReturnType<TestApiServer['watch']>) =>
    watch.events.map(({ type }) => type);

  it('is found by discovery', async () => {
    const { body } = await server.request('GET', root);
    const found = body.resources.find(({ name }: { name: string }) => name === kind.resource);
    expect(found).toMatchObject({ kind: kind.kind, namespaced: kind.namespaced });
    expect(found.verbs).toEqual(
      expect.arrayContaining(['create', 'delete', 'deletecollection', 'get', 'list', 'watch']),
    );
  });

  it('is made, listed, watched, changed, replaced and deleted', async () => {
    for (const name of [first, second, third]) {
      expect(await server.request('POST', collection, { body: object(name) })).toMatchObject({
        status: 201,
        body: { metadata: { name, labels: LABELS } },
      });
    }
    expect(await names(collection)).toEqual([first, second, third]);
    expect(await names(all)).toEqual([first, second, third]);
    const { body: listed } = await server.request('GET', collection + SELECTED);
    const from = `&resourceVersion=${listed.metadata.resourceVersion}`;
    const watch = server.watch(`${collection}${SELECTED}&watch=1${from}`);
    const path = `${collection}/${first}`;
    const patched = await server.request('PATCH', path, { body: kind.change });
    expect(patched).toMatchObject({ status: 200, body: kind.change });
    const metadata = { ...patched.body.metadata, annotations: { updated: 'true' } };
    const updated = await server.request('PUT', path, { body: { ...patched.body, metadata } });
    expect(updated).toMatchObject({
      status: 200,
      body: { metadata: { annotations: { updated: 'true' } } },
    });
    await watch.first(2);
    expect((await server.request('DELETE', path)).status).toBe(200);
    await watch.first(3);
    expect(eventTypes(watch)).toEqual(['MODIFIED', 'MODIFIED', 'DELETED']);
    watch.close();
    expect((await server.request('GET', path)).status).toBe(404);
    expect(await names(collection)).toEqual([second, third]);
  });

  const { status } = kind;
  if (status)
    it('has a status of its own', async () => {
      const path = `${collection}/${second}/status`;
      const patched = await server.request('PATCH', path, {
        body: { metadata: { annotations: { patchedstatus: 'true' } }, status },
      });
      expect(patched).toMatchObject({ status: 200, body: { status } });
      const read = await server.request('GET', path);
      expect(read.body.status).toMatchObject(status);
      const updated = await server.request('PUT', path, { body: { ...read.body } });
      expect(updated).toMatchObject({ status: 200, body: { status } });
      // What is not the status cannot be changed there, and the status not elsewhere.
      const plain = await server.request('PATCH', `${collection}/${second}`, {
        body: { status: null },
      });
      expect(plain.body.status).toMatchObject(status);
    });

  it('is deleted as a collection', async () => {
    expect((await server.request('DELETE', collection + SELECTED)).status).toBe(200);
    expect(await names(collection)).toEqual([]);
  });
});

describe('a Service whose name the server makes', () => {
  const collection = '/api/v1/namespaces/default/services';
  const body = { metadata: { generateName: 'made-' }, spec: { ports: [{ port: 80 }] } };

  it('has an address that says whose it is', async () => {
    const made = await server.request('POST', collection, { body });
    expect(made.status).toBe(201);
    const { metadata, spec } = made.body;
    expect(metadata.name).toMatch(/^made-.{5}$/);
    const address = await server.request(
      'GET',
      `/apis/networking.k8s.io/v1/ipaddresses/${spec.clusterIP}`,
    );
    expect(address.body.spec.parentRef).toMatchObject({
      resource: 'services',
      name: metadata.name,
    });
    await server.request('DELETE', `${collection}/${metadata.name}`);
  });

  it('takes nothing where it is only tried', async () => {
    const tried = await server.request('POST', `${collection}?dryRun=All`, { body });
    expect(tried.status).toBe(201);
    const path = `/apis/networking.k8s.io/v1/ipaddresses/${tried.body.spec.clusterIP}`;
    expect((await server.request('GET', path)).status).toBe(404);
  });
});

it('a Service may begin with a digit, and an Ingress lead to it', async () => {
  const namespace = '/api/v1/namespaces/default';
  const service = { metadata: { name: '1st' }, spec: { ports: [{ port: 80 }] } };
  const made = await server.request('POST', `${namespace}/services?dryRun=All`, { body: service });
  expect([made.status, made.body.message]).toEqual([201, undefined]);
  const defaultBackend = { service: { name: '1st', port: { number: 80 } } };
  const ingress = { metadata: { name: 'first' }, spec: { defaultBackend } };
  const path = '/apis/networking.k8s.io/v1/namespaces/default/ingresses?dryRun=All';
  const led = await server.request('POST', path, { body: ingress });
  expect([led.status, led.body.message]).toEqual([201, undefined]);
});
