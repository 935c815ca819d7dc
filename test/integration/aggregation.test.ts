import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificateEnd, createAuthority, issueCertificate } from '../../src/pki/ca.ts';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';
import { type HttpsPeer, type PeerRequest, startHttpsPeer } from '../support/https-peer.ts';

const SERVICES = '/apis/apiregistration.k8s.io/v1/apiservices';
const NAME = 'v1alpha1.wardle.example.com';
const PATH = '/apis/wardle.example.com/v1alpha1';

let server: TestApiServer;
let peer: HttpsPeer;

const RESOURCES = {
  kind: 'APIResourceList',
  apiVersion: 'v1',
  groupVersion: 'wardle.example.com/v1alpha1',
  resources: [
    {
      ...{ name: 'flunders', singularName: 'flunder', namespaced: true, kind: 'Flunder' },
      verbs: ['create', 'get', 'list'],
    },
    {
      ...{ name: 'flunders/status', singularName: '', namespaced: true, kind: 'Flunder' },
      verbs: ['get'],
    },
  ],
};

const OPENAPI = {
  swagger: '2.0',
  paths: {
    [`${PATH}/namespaces/{namespace}/flunders`]: {
      get: {
        operationId: 'listFlunders',
        responses: { 200: { description: 'OK', schema: { $ref: '#/definitions/Flunder' } } },
      },
    },
    '/api/v1/pods': { get: { operationId: 'notItsOwn', responses: {} } },
  },
  definitions: {
    Flunder: { type: 'object', properties: { color: { type: 'string' } } },
    Other: { type: 'object' },
  },
};

function answer({ path, method, text, headers, client }: PeerRequest) {
  if (path === PATH) return { body: RESOURCES };
  if (path === '/openapi/v3') {
    const serverRelativeURL = `/openapi/v3${PATH}?hash=1`;
    return { body: { paths: { [PATH.slice(1)]: { serverRelativeURL } } } };
  }
  if (path === '/openapi/v2') {
    if (headers['if-none-match'] === '"1"') return { status: 304, body: '' };
    return { headers: { etag: '"1"' }, body: OPENAPI };
  }
  if (path.startsWith('/openapi/v3/')) return { body: { openapi: '3.0.0' } };
  if (path.endsWith('/elsewhere')) {
    return {
      status: 302,
      headers: { location: `https://localhost:${peer.port}/stolen` },
      body: {},
    };
  }
  if (method === 'POST') return { status: 201, body: text };
  return { body: { kind: 'Echo', path, headers, client } };
}

beforeAll(async () => {
  const now = Date.now();
  const frontAuthority = await createAuthority('front-proxy-ca', now);
  const frontProxy = await issueCertificate(
    frontAuthority,
    { commonName: 'front-proxy-client', usages: ['client'], notAfter: certificateEnd(now) },
    now,
  );
  peer = await startHttpsPeer(answer, {
    names: ['sample.default.svc'],
    clientAuthority: frontAuthority.certificate,
  });
  const requestHeader = {
    clientAuthority: frontAuthority.certificate,
    allowedNames: ['front-proxy-client'],
  };
  server = await startApiServer({ frontProxy, requestHeader });
  await server.request('POST', '/api/v1/namespaces/default/services', {
    body: {
      ...{ apiVersion: 'v1', kind: 'Service', metadata: { name: 'sample' } },
      spec: { type: 'ExternalName', externalName: 'localhost' },
    },
  });
});
afterAll(async () => {
  await server.stop();
  await peer.close();
});

function register(service: string): Promise<unknown> {
  return server.request('POST', SERVICES, {
    body: {
      ...{ apiVersion: 'apiregistration.k8s.io/v1', kind: 'APIService', metadata: { name: NAME } },
      spec: {
        ...{ group: 'wardle.example.com', version: 'v1alpha1', caBundle: peer.caBundle },
        ...{ groupPriorityMinimum: 2000, versionPriority: 200 },
        service: { namespace: 'default', name: service, port: peer.port },
      },
    },
  });
}

async function available() {
  const { body } = await server.request('GET', `${SERVICES}/${NAME}`);
  return body.status?.conditions?.find((c: { type: string }) => c.type === 'Available');
}

describe('local APIServices', () => {
  it('exist for every group and version, and are available', async () => {
    const items = await eventually('they are there', async () => {
      const { body } = await server.request('GET', SERVICES);
      return body.items.length > 20 && body.items;
    });
    const byName = new Map(items.map((s: { metadata: { name: string } }) => [s.metadata.name, s]));
    expect(byName.get('v1.apps')).toMatchObject({
      metadata: { labels: { 'kube-aggregator.kubernetes.io/automanaged': 'onstart' } },
      spec: { group: 'apps', version: 'v1', groupPriorityMinimum: 17800, versionPriority: 15 },
      status: { conditions: [{ type: 'Available', status: 'True', reason: 'Local' }] },
    });
    expect(byName.has('v1.')).toBe(true);
  });

  it('come and go with custom resources', async () => {
    const name = 'things.local.example.com';
    const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    await server.request('POST', crds, {
      body: {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name },
        spec: {
          ...{ group: 'local.example.com', scope: 'Namespaced' },
          names: { plural: 'things', kind: 'Thing' },
          versions: [
            {
              ...{ name: 'v1', served: true, storage: true },
              schema: { openAPIV3Schema: { type: 'object' } },
            },
          ],
        },
      },
    });
    const status = async () =>
      (await server.request('GET', `${SERVICES}/v1.local.example.com`)).status;
    await eventually('it is there', async () => (await status()) === 200);
    await server.request('DELETE', `${crds}/${name}`);
    await eventually('it is gone', async () => (await status()) === 404);
  });
});

describe('an aggregated API server', () => {
  it('is unavailable while its Service is missing, and its requests are answered with 503', async () => {
    await register('missing');
    const condition = await eventually('it is judged', available);
    expect(condition).toMatchObject({
      ...{ status: 'False', reason: 'ServiceNotFound' },
      message: 'service/missing in "default" is not present',
    });
    expect((await server.request('GET', `${PATH}/flunders`)).status).toBe(503);
    await server.request('DELETE', `${SERVICES}/${NAME}`);
    const gone = async () => (await server.request('GET', `${PATH}/flunders`)).status === 404;
    await eventually('it is forgotten', gone);
  });

  it('joins discovery once it answers', async () => {
    await register('sample');
    const passed = async () => (await available())?.reason === 'Passed';
    await eventually('it is available', passed);
    const { body: groups } = await server.request('GET', '/apis');
    const found = groups.groups.find((g: { name: string }) => g.name === 'wardle.example.com');
    expect(found.preferredVersion.version).toBe('v1alpha1');
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
    const { body: aggregated } = await server.request('GET', '/apis', { accept });
    const item = aggregated.items.find(
      (g: { metadata: { name: string } }) => g.metadata.name === 'wardle.example.com',
    );
    expect(item.versions[0]).toMatchObject({
      freshness: 'Current',
      resources: [{ resource: 'flunders', subresources: [{ subresource: 'status' }] }],
    });
    expect((await server.request('GET', PATH)).body).toEqual(RESOURCES);
    const { body: openapi } = await server.request('GET', '/openapi/v3');
    const { serverRelativeURL } = openapi.paths[PATH.slice(1)];
    expect((await server.request('GET', serverRelativeURL)).body).toEqual({ openapi: '3.0.0' });
  });

  it('has its part of the OpenAPI v2 document, in both forms, while it is there', async () => {
    const { body, text } = await server.request('GET', '/openapi/v2');
    const path = `${PATH}/namespaces/{namespace}/flunders`;
    expect(body.paths[path].get.operationId).toBe('listFlunders');
    expect(body.definitions.Flunder.properties).toEqual({ color: { type: 'string' } });
    expect(body.definitions.Other).toBeUndefined();
    expect(text).not.toContain('notItsOwn');
    expect(body.paths['/api/v1/pods'].get.operationId).toBe('listCoreV1PodForAllNamespaces');
    const accept = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
    const gnostic = await server.request('GET', '/openapi/v2', { accept });
    expect(gnostic.text).toContain('listFlunders');
  });

  it('is told who asks, by a client that it can believe', async () => {
    const alice = await server.as({ name: 'alice', groups: ['system:masters', 'devs'] });
    const { body } = await alice('GET', `${PATH}/namespaces/default/flunders?limit=5`, {
      headers: { 'x-remote-user': 'mallory', 'x-remote-group': 'system:masters' },
    });
    expect(body).toMatchObject({
      client: 'front-proxy-client',
      path: `${PATH}/namespaces/default/flunders?limit=5`,
    });
    expect(body.headers['x-remote-user']).toBe('alice');
    expect(body.headers['x-remote-group']).toBe('system:masters, devs, system:authenticated');
  });

  it('gets bodies, and its status codes are passed on', async () => {
    const made = await server.request('POST', `${PATH}/namespaces/default/flunders`, {
      body: { kind: 'Flunder' },
    });
    expect(made.status).toBe(201);
    expect(made.body).toEqual({ kind: 'Flunder' });
  });

  it('is asked only on behalf of those who may', async () => {
    const bob = await server.as({ name: 'bob', groups: [] });
    expect((await bob('GET', `${PATH}/namespaces/default/flunders`)).status).toBe(403);
  });

  it('CVE-2022-3172: sends nobody elsewhere, and is followed nowhere', async () => {
    const answer = await server.request('GET', `${PATH}/namespaces/default/flunders/elsewhere`);
    expect(answer.status).toBe(502);
    expect(answer.text).toBe(
      'the backend attempted to redirect this request, which is not permitted',
    );
    expect(answer.headers.location).toBeUndefined();
    expect(peer.requests.some(({ path }) => path === '/stolen')).toBe(false);
  });

  it('finds what it needs to know in kube-system', async () => {
    const { body } = await server.request(
      'GET',
      '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication',
    );
    expect(body.data['client-ca-file']).toContain('BEGIN CERTIFICATE');
    expect(body.data['requestheader-allowed-names']).toBe('["front-proxy-client"]');
  });

  it('is said to be failing when it does not answer any more', async () => {
    await peer.close();
    await server.request('PATCH', `${SERVICES}/${NAME}`, {
      body: { metadata: { annotations: { look: 'again' } } },
    });
    const failed = async () => (await available())?.reason === 'FailedDiscoveryCheck';
    await eventually('it is unavailable', failed);
    expect((await server.request('GET', `${PATH}/flunders`)).status).toBe(503);
    const { body } = await server.request('GET', '/apis');
    const names = body.groups.map((g: { name: string }) => g.name);
    expect(names).not.toContain('wardle.example.com');
  });
});
