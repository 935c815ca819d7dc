import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RequestOptions, startApiServer, type TestApiServer } from '../support/api-server.ts';
import { fc } from '../support/properties.ts';
import { CLUSTER_SAMPLES, NAMESPACED_SAMPLES, type Sample } from '../support/samples.ts';

// Objects of every kind with something wrong in them, over real HTTP: whatever it is, the answer is no 5xx.

let server: TestApiServer;
const plurals = new Map<string, string>();

beforeAll(async () => {
  server = await startApiServer();
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
  for (const root of ['/api', '/apis']) {
    const { body } = await server.request('GET', root, { accept });
    for (const { metadata, versions } of body.items) {
      for (const { version, resources } of versions) {
        const place = metadata.name ? `apis/${metadata.name}/${version}` : `api/${version}`;
        for (const { resource, responseKind } of resources) {
          plurals.set(`${place}/${responseKind.kind}`, resource);
        }
      }
    }
  }
});
afterAll(() => server.stop());

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const JUNK = fc.oneof(
  fc.constantFrom<Json>(
    null,
    true,
    0,
    -1,
    1e308,
    2 ** 63,
    2 ** 53 + 2,
    '',
    ' ',
    'a/b',
    '..',
    '\u0000',
    '💥',
  ),
  fc.constantFrom<Json>([], {}, [[]], [null], [{}], { a: null }, 'x'.repeat(10_000)),
  fc.constantFrom<Json>(
    JSON.parse('{"__proto__":{"polluted":"yes"}}'),
    JSON.parse('{"constructor":{"prototype":{"polluted":"yes"}}}'),
    { $patch: 'replace' },
    { $setElementOrder: [1] },
    { '$deleteFromPrimitiveList/a': {} },
  ),
);

/** Every place in a value, as a path. */
function places(value: Json, path: string[] = []): string[][] {
  const below =
    typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([key, member]) => places(member as Json, [...path, key]))
      : [];
  return [path, ...below];
}

/** A copy with other content at a path. */
function planted(value: Json, [first, ...rest]: readonly string[], junk: Json): Json {
  if (first === undefined) return junk;
  if (typeof value !== 'object' || value === null) return value;
  const copy = structuredClone(value) as Record<string, Json>;
  copy[first] = planted(copy[first] ?? null, rest, junk);
  return copy;
}

const PATCH_TYPES = [
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
];

interface Attempt {
  readonly method: string;
  readonly path: string;
  readonly options: RequestOptions;
}

/** The ways in which a broken object may reach the server. */
function attempts(collection: string, name: string, broken: Json): Attempt[] {
  const path = `${collection}/${name}`;
  const body = JSON.stringify(broken);
  const patch = [{ op: 'replace', path: '', value: broken }];
  return [
    { method: 'POST', path: `${collection}?dryRun=All`, options: { body } },
    { method: 'PUT', path: `${path}?dryRun=All`, options: { body } },
    ...PATCH_TYPES.map((type) => ({
      method: 'PATCH',
      path: `${path}?dryRun=All&fieldManager=fuzz&force=${type.includes('apply')}`.replace(
        '&force=false',
        '',
      ),
      options: { body, type },
    })),
    {
      method: 'PATCH',
      path: `${path}?dryRun=All`,
      options: { body: patch, type: 'application/json-patch+json' },
    },
  ];
}

/** Kinds that need a turn of their own elsewhere, since a controller of the server writes them too. */
const MORE: Sample[] = [
  [
    'apis/apiextensions.k8s.io/v1',
    'CustomResourceDefinition',
    {
      spec: {
        group: 'fuzz.example.com',
        scope: 'Namespaced',
        names: { plural: 'things', singular: 'thing', kind: 'Thing', listKind: 'ThingList' },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            subresources: { status: {}, scale: { specReplicasPath: '.spec.n' } },
            additionalPrinterColumns: [{ name: 'N', type: 'integer', jsonPath: '.spec.n' }],
            schema: {
              openAPIV3Schema: {
                type: 'object',
                properties: {
                  spec: {
                    type: 'object',
                    required: ['n'],
                    properties: { n: { type: 'integer', minimum: 0, default: 1 } },
                    'x-kubernetes-validations': [{ rule: 'self.n >= 0', message: 'low' }],
                  },
                },
              },
            },
          },
        ],
      },
    },
    'things.fuzz.example.com',
  ],
];

const cases = [
  ...NAMESPACED_SAMPLES.map((sample) => [`${sample[0]} ${sample[1]}`, sample, true] as const),
  ...[...CLUSTER_SAMPLES, ...MORE].map(
    (sample) => [`${sample[0]} ${sample[1]}`, sample, false] as const,
  ),
];

describe('an object with something wrong in it is no trouble for the server:', () => {
  test.each(cases)('%s', async (_title, [root, kind, content, name = 'sample']: Sample, inside) => {
    const plural = plurals.get(`${root}/${kind}`);
    const collection = `/${root}/${inside ? 'namespaces/default/' : ''}${plural}`;
    const [group = '', version = ''] = root.startsWith('apis/') ? root.split('/').slice(1) : [];
    const apiVersion = group === '' ? 'v1' : `${group}/${version}`;
    const good = { apiVersion, kind, metadata: { name, labels: { a: 'b' } }, ...content };
    await server.request('POST', collection, { body: good });
    const spots = places(good as unknown as Json);
    const property = fc.asyncProperty(fc.constantFrom(...spots), JUNK, async (spot, junk) => {
      const broken = planted(good as unknown as Json, spot, junk);
      for (const { method, path, options } of attempts(collection, name, broken)) {
        const { status, text } = await server.request(method, path, options);
        const sent = `${method} ${options.type ?? ''} ${JSON.stringify(broken)}`;
        expect(status, `${sent}\n${text.slice(0, 500)}`).toBeLessThan(500);
      }
    });
    await fc.assert(property, { numRuns: 12 });
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

const authentication = 'apis/authentication.k8s.io/v1';
const authorization = 'apis/authorization.k8s.io/v1';
const attributes = { verb: 'get', group: '', resource: 'pods', namespace: 'default', name: 'a' };
const pod = '/api/v1/namespaces/default/pods/fuzz';
const scale = '/apis/apps/v1/namespaces/default/deployments/fuzz/scale';

/** What is asked, told or done by an object that is not stored: how, where, and a good one. */
const PASSING: [method: string, path: string, good: Record<string, Json>][] = [
  ['POST', `/${authentication}/tokenreviews`, { spec: { token: 'x', audiences: ['a'] } }],
  ['POST', `/${authentication}/selfsubjectreviews`, {}],
  [
    'POST',
    `/${authorization}/subjectaccessreviews`,
    { spec: { user: 'u', groups: ['g'], extra: { a: ['b'] }, resourceAttributes: attributes } },
  ],
  [
    'POST',
    `/${authorization}/selfsubjectaccessreviews`,
    { spec: { resourceAttributes: attributes } },
  ],
  ['POST', `/${authorization}/selfsubjectrulesreviews`, { spec: { namespace: 'default' } }],
  [
    'POST',
    `/${authorization}/namespaces/default/localsubjectaccessreviews`,
    { spec: { user: 'u', resourceAttributes: attributes } },
  ],
  [
    'POST',
    '/api/v1/namespaces/default/bindings',
    { metadata: { name: 'fuzz' }, target: { name: 'n' } },
  ],
  ['POST', `${pod}/binding`, { metadata: { name: 'fuzz' }, target: { kind: 'Node', name: 'n' } }],
  [
    'POST',
    `${pod}/eviction`,
    { metadata: { name: 'fuzz' }, deleteOptions: { gracePeriodSeconds: 1 } },
  ],
  ['PUT', `${pod}/ephemeralcontainers`, { metadata: { name: 'fuzz' }, spec: { containers: [] } }],
  ['PUT', `${pod}/resize`, { metadata: { name: 'fuzz' }, spec: { containers: [] } }],
  [
    'PUT',
    `${pod}/status`,
    { metadata: { name: 'fuzz' }, status: { phase: 'Running', podIPs: [] } },
  ],
  [
    'DELETE',
    pod,
    { kind: 'DeleteOptions', preconditions: { uid: 'u' }, propagationPolicy: 'Orphan' },
  ],
  ['PUT', scale, { metadata: { name: 'fuzz' }, spec: { replicas: 1 }, status: { replicas: 1 } }],
  ['PATCH', scale, { spec: { replicas: 2 } }],
  [
    'POST',
    '/api/v1/namespaces/default/serviceaccounts/default/token',
    {
      spec: {
        audiences: ['a'],
        expirationSeconds: 600,
        boundObjectRef: { kind: 'Pod', name: 'a' },
      },
    },
  ],
  [
    'PUT',
    '/api/v1/namespaces/default/finalize',
    { metadata: { name: 'default' }, spec: { finalizers: [] } },
  ],
  [
    'PUT',
    '/apis/certificates.k8s.io/v1/certificatesigningrequests/sample/approval',
    {
      metadata: { name: 'sample' },
      status: { conditions: [{ type: 'Approved', status: 'True' }] },
    },
  ],
];

describe('what is not stored, with something wrong in it, is no trouble for the server either:', () => {
  beforeAll(async () => {
    await server.request('POST', '/api/v1/namespaces/default/serviceaccounts', {
      body: { metadata: { name: 'default' } },
    });
    const template = {
      metadata: { labels: { app: 'a' } },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    };
    await server.request('POST', '/api/v1/namespaces/default/pods', {
      body: { ...template, metadata: { name: 'fuzz', finalizers: ['example.com/stays'] } },
    });
    await server.request('POST', '/apis/apps/v1/namespaces/default/deployments', {
      body: {
        metadata: { name: 'fuzz' },
        spec: { selector: { matchLabels: { app: 'a' } }, template },
      },
    });
  });

  test.each(PASSING)('%s %s', async (method, path, good) => {
    const spots = places(good);
    const property = fc.asyncProperty(fc.constantFrom(...spots), JUNK, async (spot, junk) => {
      const body = JSON.stringify(planted(good, spot, junk));
      const { status, text } = await server.request(method, path, { body });
      expect(status, `${method} ${path} ${body}\n${text.slice(0, 500)}`).toBeLessThan(500);
    });
    await fc.assert(property, { numRuns: 40 });
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});
