import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { CLUSTER_SAMPLES, NAMESPACED_SAMPLES, type Sample } from '../support/samples.ts';

// What the server says about itself, checked against what it does.

interface Resource {
  /** `/apis/apps/v1` */
  readonly place: string;
  readonly resource: string;
  readonly responseKind: { readonly kind: string };
  readonly scope: 'Namespaced' | 'Cluster';
  readonly verbs: readonly string[];
}

// biome-ignore lint/suspicious/noExplicitAny: a schema is any JSON
type Schema = any;

const DISCOVERY = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

let server: TestApiServer;
const resources: Resource[] = [];
const documents = new Map<string, Schema>();

beforeAll(async () => {
  server = await startApiServer();
  await server.request('POST', '/api/v1/namespaces/default/serviceaccounts', {
    body: { metadata: { name: 'default' } },
  });
  const accept = DISCOVERY;
  for (const root of ['/api', '/apis']) {
    const { body } = await server.request('GET', root, { accept });
    for (const { metadata, versions } of body.items) {
      for (const { version, resources: found } of versions) {
        const place = [root, metadata.name, version].filter((part) => part).join('/');
        for (const resource of found) resources.push({ ...resource, place });
      }
    }
  }
  const { body } = await server.request('GET', '/openapi/v3');
  for (const [place, { serverRelativeURL }] of Object.entries<Schema>(body.paths)) {
    documents.set(place, (await server.request('GET', serverRelativeURL)).body);
  }
});
afterAll(() => server.stop());

const BODIES: Record<string, object> = { POST: {}, PUT: {}, PATCH: { metadata: {} } };
const PROMISES: [verb: string, method: string, path: string, codes: number[]][] = [
  ['list', 'GET', '', [200]],
  ['watch', 'GET', '?watch=1&timeoutSeconds=1', [200]],
  ['get', 'GET', '/nothing', [404]],
  ['create', 'POST', '', [201, 400, 403, 422]],
  ['update', 'PUT', '/made', [200, 201, 400, 404, 422]],
  ['patch', 'PATCH', '/nothing', [404]],
  ['delete', 'DELETE', '/nothing', [404]],
];

function homeOf({ place, scope, resource }: Resource): string {
  return `${place}/${scope === 'Namespaced' ? 'namespaces/default/' : ''}${resource}`;
}

describe('the discovery', () => {
  it('lists only what answers, for every verb that it promises', async () => {
    const keepsItsPromises = async (one: Resource) => {
      const home = homeOf(one);
      for (const [, method, path, codes] of PROMISES.filter(([verb]) => one.verbs.includes(verb))) {
        const options = BODIES[method] ? { body: BODIES[method] } : {};
        const { status } = await server.request(method, home + path, options);
        expect(codes, `${method} ${home}${path}: ${status}`).toContain(status);
      }
    };
    await Promise.all(resources.map(keepsItsPromises));
  });

  it('tells every path at the root, and each of them answers', async () => {
    const { paths } = (await server.request('GET', '/')).body;
    expect(paths).toEqual(expect.arrayContaining(['/api/v1', '/apis/apps', '/livez/ping']));
    const home = resources.map(({ place }) => place);
    expect(home.filter((place) => !paths.includes(place))).toEqual([]);
    for (const path of paths) {
      expect([path, (await server.request('GET', path)).status]).toEqual([path, 200]);
    }
  });

  it('has an OpenAPI document for each group version', () => {
    const places = new Set(resources.map(({ place }) => place.slice(1)));
    expect([...documents.keys()].sort()).toEqual([...places].sort());
  });

  it('has a schema of every kind in there, which leads on to each of its fields', () => {
    for (const { place, responseKind, verbs } of resources) {
      if (!verbs.includes('get')) continue;
      const { schemas } = documents.get(place.slice(1)).components;
      const schema = schemaOf(schemas, place, responseKind.kind);
      expect(Object.keys(schema?.properties ?? {}), `${place} ${responseKind.kind}`).toEqual(
        expect.arrayContaining(['apiVersion', 'kind', 'metadata']),
      );
      expect(schema.description).toBeTruthy();
      expect(deadEnds(schema, schemas)).toEqual([]);
    }
  });
});

function schemaOf(schemas: Schema, place: string, kind: string): Schema {
  const [group = '', version = ''] = place === '/api/v1' ? ['', 'v1'] : place.split('/').slice(2);
  return Object.values<Schema>(schemas).find((schema) =>
    schema['x-kubernetes-group-version-kind']?.some(
      (gvk: Schema) => gvk.group === group && gvk.version === version && gvk.kind === kind,
    ),
  );
}

/** What a schema refers to and nothing explains. */
function deadEnds(schema: Schema, all: Schema, seen = new Set<string>()): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  if (typeof schema.$ref !== 'string') {
    return Object.values<Schema>(schema).flatMap((part) => deadEnds(part, all, seen));
  }
  const name = schema.$ref.split('/').at(-1);
  if (seen.has(name)) return [];
  seen.add(name);
  return all[name] ? deadEnds(all[name], all, seen) : [name];
}

/** Where an answer is not what the schema says. */
function mismatches(value: Schema, schema: Schema, all: Schema, at = ''): string[] {
  if (schema.$ref) {
    const referred = all[schema.$ref.split('/').at(-1)];
    return referred ? mismatches(value, referred, all, at) : [`${at}: no schema`];
  }
  const { type, items, allOf = [], oneOf = [] } = schema;
  const found = allOf.flatMap((one: Schema) => mismatches(value, one, all, at));
  const fits = (one: Schema) => mismatches(value, one, all, at).length === 0;
  if (oneOf.length > 0 && !oneOf.some(fits)) found.push(`${at}: none of oneOf`);
  if (type && !isOf(type, value))
    return [...found, `${at}: ${JSON.stringify(value)} is no ${type}`];
  if (Array.isArray(value)) {
    value.forEach((item, i) => {
      found.push(...mismatches(item, items, all, `${at}[${i}]`));
    });
  } else if (type === 'object') found.push(...objectMismatches(value, schema, all, at));
  return found;
}

function objectMismatches(value: object, schema: Schema, all: Schema, at: string): string[] {
  const { properties, additionalProperties, required = [] } = schema;
  const missing = required.filter((key: string) => !(key in value));
  const found = missing.map((key: string) => `${at}.${key}: missing`);
  for (const [key, member] of Object.entries(value)) {
    const of = properties?.[key] ?? additionalProperties;
    if (of) found.push(...mismatches(member, of, all, `${at}.${key}`));
    else if (properties) found.push(`${at}.${key}: not declared`);
  }
  return found;
}

function isOf(type: string, value: unknown): boolean {
  if (type === 'array') return Array.isArray(value);
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'object') return typeof value === 'object' && value !== null;
  return typeof value === type;
}

const cases = [
  ...NAMESPACED_SAMPLES.map((sample) => [`${sample[0]} ${sample[1]}`, sample, true] as const),
  ...CLUSTER_SAMPLES.map((sample) => [`${sample[0]} ${sample[1]}`, sample, false] as const),
];

describe("the OpenAPI schema fits the server's own answers about", () => {
  it.each(cases)('%s', async (_title, [root, kind, content, name = 'sample']: Sample, inside) => {
    const found = resources.find((r) => r.place === `/${root}` && r.responseKind.kind === kind);
    const home = `/${root}/${inside ? 'namespaces/default/' : ''}${found?.resource}`;
    await server.request('POST', home, { body: { metadata: { name }, ...content } });
    const { body } = await server.request('GET', `${home}/${name}`);
    expect(body.kind).toBe(kind);
    const { schemas } = documents.get(root).components;
    const schema = schemaOf(schemas, `/${root}`, kind);
    expect(mismatches(body, schema, schemas)).toEqual([]);
    const list = await server.request('GET', `${home}?fieldSelector=metadata.name=${name}`);
    const listSchema = schemaOf(schemas, `/${root}`, `${kind}List`);
    expect(mismatches(list.body, listSchema, schemas)).toEqual([]);
  });
});

describe('a document', () => {
  it('is not sent again to those who have it', async () => {
    const accepted = ['/openapi/v2', '/openapi/v3', '/openapi/v3/apis/apps/v1'].map((path) => [
      path,
      'application/json',
    ]);
    for (const [path = '', accept = ''] of [
      ...accepted,
      ['/apis', DISCOVERY],
      ['/api', DISCOVERY],
    ]) {
      const first = await server.request('GET', path, { accept });
      const { etag } = first.headers;
      expect([path, first.status, etag]).toEqual([path, 200, expect.stringMatching(/^"\w+"$/)]);
      for (const known of [etag, `"x", W/${etag}`]) {
        const headers = { 'if-none-match': String(known) };
        const again = await server.request('GET', path, { accept, headers });
        expect([path, again.status, again.text]).toEqual([path, 304, '']);
      }
      const other = await server.request('GET', path, {
        accept,
        headers: { 'if-none-match': '"x"' },
      });
      expect(other.text).toBe(first.text);
    }
  });

  it('is kept for good under its hash, which leads from an old one to the new one', async () => {
    const { body } = await server.request('GET', '/openapi/v3');
    const url: string = body.paths['apis/apps/v1'].serverRelativeURL;
    const kept = await server.request('GET', url);
    expect(kept.status).toBe(200);
    expect(kept.headers).toMatchObject({ 'cache-control': 'public, immutable', vary: 'Accept' });
    expect(Date.parse(String(kept.headers.expires))).toBeGreaterThan(Date.now());
    const old = await server.request('GET', url.replace(/hash=.*/, 'hash=OLD'));
    expect([old.status, old.headers.location]).toEqual([301, url]);
  });
});
