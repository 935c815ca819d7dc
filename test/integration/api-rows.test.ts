import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';

// What upstream's conformance tests of sig-api-machinery ask of the API server, where no other test asks it.

let server: TestApiServer;
beforeAll(async () => {
  server = await startApiServer();
});
afterAll(() => server.stop());

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
const FREE = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

const version = (name: string, schema: object, more: object = {}) => ({
  ...{ name, served: true, storage: true, schema: { openAPIV3Schema: schema } },
  ...more,
});

function crd(group: string, plural: string, versions: object[], labels: object = {}) {
  const kind = plural.charAt(0).toUpperCase() + plural.slice(1, -1);
  return {
    ...{ apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition' },
    metadata: { name: `${plural}.${group}`, labels },
    spec: { group, scope: 'Namespaced', names: { plural, kind }, versions },
  };
}

async function define(definition: ReturnType<typeof crd>): Promise<void> {
  const { status, text } = await server.request('POST', CRDS, { body: definition });
  expect(status, text).toBe(201);
  const path = `${CRDS}/${definition.metadata.name}`;
  await eventually('it is established', async () => {
    const conditions = (await server.request('GET', path)).body.status?.conditions ?? [];
    return conditions.some(
      (c: { type: string; status: string }) => c.type === 'Established' && c.status === 'True',
    );
  });
}

describe('aggregated discovery', () => {
  it('is given to who prefers it, by the order and the versions of what is accepted', async () => {
    const kindFor = async (accept: string) => {
      const { status, body, headers } = await server.request('GET', '/apis', { accept });
      return [status, body.kind, headers['content-type']];
    };
    const plain = [200, 'APIGroupList', 'application/json'];
    const whole = [200, 'APIGroupDiscoveryList', AGGREGATED];
    expect(await kindFor('application/json')).toEqual(plain);
    expect(await kindFor('*/*')).toEqual(plain);
    expect(await kindFor(`${AGGREGATED},application/json`)).toEqual(whole);
    expect(await kindFor(`application/json,${AGGREGATED}`)).toEqual(plain);
    expect(await kindFor(`${AGGREGATED.replace('v2', 'v9')},application/json`)).toEqual(plain);
  });

  it('holds custom resources as soon as they are established, and no longer than they are', async () => {
    await define(crd('found.example.com', 'finds', [version('v1', FREE)]));
    const find = async () => {
      const { body } = await server.request('GET', '/apis', { accept: AGGREGATED });
      return body.items.find(
        (item: { metadata: { name: string } }) => item.metadata.name === 'found.example.com',
      );
    };
    expect((await find()).versions[0].resources[0]).toMatchObject({
      ...{ resource: 'finds', scope: 'Namespaced', singularResource: 'find' },
      responseKind: { group: 'found.example.com', version: 'v1', kind: 'Find' },
    });
    await server.request('DELETE', `${CRDS}/finds.found.example.com`);
    await eventually('it is gone', async () => (await find()) === undefined);
  });
});

describe('CustomResourceDefinitions', () => {
  it('are listed and deleted by label', async () => {
    const labels = { of: 'list' };
    for (const plural of ['alphas', 'betas']) {
      await define(crd('listed.example.com', plural, [version('v1', FREE)], labels));
    }
    const path = `${CRDS}?labelSelector=of%3Dlist`;
    expect((await server.request('GET', path)).body.items).toHaveLength(2);
    expect((await server.request('DELETE', path)).status).toBe(200);
    await eventually('they are gone', async () => {
      return (await server.request('GET', path)).body.items.length === 0;
    });
  });

  it('have a status that is read, replaced and patched apart from the rest', async () => {
    await define(crd('state.example.com', 'states', [version('v1', FREE)]));
    const path = `${CRDS}/states.state.example.com`;
    const { body } = await server.request('GET', `${path}/status`);
    const condition = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'set' };
    const replaced = await server.request('PUT', `${path}/status`, {
      body: {
        ...body,
        spec: { ...body.spec, preserveUnknownFields: true },
        status: { ...body.status, conditions: [...body.status.conditions, condition] },
      },
    });
    expect(replaced.status, replaced.text).toBe(200);
    expect(replaced.body.status.conditions).toContainEqual(expect.objectContaining(condition));
    expect(replaced.body.metadata.generation).toBe(body.metadata.generation);
    const conditions = [{ ...condition, type: 'StatusPatched' }];
    const patched = await server.request('PATCH', `${path}/status`, {
      body: { status: { conditions } },
    });
    expect(patched.body.status.conditions).toContainEqual(expect.objectContaining(conditions[0]));
    await server.request('DELETE', path);
  });

  it('publish what their versions are, and what they become', async () => {
    const text = { type: 'object', properties: { spec: { type: 'object', properties: {} } } };
    const schema = (description: string) => ({ ...text, description });
    const old = version('v1', schema('the old one'), { storage: false });
    const group = 'published.example.com';
    await define(crd(group, 'papers', [old, version('v2', schema('the new one'))]));
    const definition = (name: string) => `com.example.published.${name}.Paper`;
    const published = async () => {
      const { body } = await server.request('GET', '/openapi/v2');
      const names = Object.keys(body.definitions).filter((name) => /published.*Paper$/.test(name));
      const { body: index } = await server.request('GET', '/openapi/v3');
      const places = Object.keys(index.paths).filter((place) => place.includes(group));
      return { names: names.sort(), places: places.sort(), of: body.definitions };
    };
    const first = await published();
    expect(first.names).toEqual([definition('v1'), definition('v2')]);
    expect(first.of[definition('v1')]).toMatchObject({
      description: 'the old one',
      'x-kubernetes-group-version-kind': [{ group, version: 'v1', kind: 'Paper' }],
    });
    expect(first.places).toEqual([`apis/${group}/v1`, `apis/${group}/v2`]);
    const path = `${CRDS}/papers.${group}`;
    const rename = [{ op: 'replace', path: '/spec/versions/0/name', value: 'v3' }];
    const type = 'application/json-patch+json';
    await server.request('PATCH', path, { type, body: rename });
    await eventually('v1 is v3', async () => {
      const { names, places } = await published();
      return names.join() === [definition('v2'), definition('v3')].join() && places.length === 2;
    });
    const stop = [{ op: 'replace', path: '/spec/versions/0/served', value: false }];
    await server.request('PATCH', path, { type, body: stop });
    await eventually('v3 is not served', async () => {
      const { names, places } = await published();
      return names.join() === definition('v2') && places.join() === `apis/${group}/v2`;
    });
    await server.request('DELETE', path);
  });

  it('publish unknown fields at the root and in embedded objects', async () => {
    const embedded = {
      ...{ type: 'object', 'x-kubernetes-embedded-resource': true },
      'x-kubernetes-preserve-unknown-fields': true,
    };
    await define(crd('open.example.com', 'roots', [version('v1', FREE)]));
    const holder = { type: 'object', properties: { spec: embedded } };
    await define(crd('open.example.com', 'holders', [version('v1', holder)]));
    const { body } = await server.request('GET', '/openapi/v2');
    expect(body.definitions['com.example.open.v1.Root']).toEqual({
      type: 'object',
      'x-kubernetes-group-version-kind': [
        { group: 'open.example.com', version: 'v1', kind: 'Root' },
      ],
    });
    expect(body.definitions['com.example.open.v1.Holder'].properties.spec).toMatchObject({
      'x-kubernetes-preserve-unknown-fields': true,
      'x-kubernetes-embedded-resource': true,
    });
    for (const plural of ['roots', 'holders']) {
      await server.request('DELETE', `${CRDS}/${plural}.open.example.com`);
    }
  });
});

describe('field validation', () => {
  const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments';
  const deployment = (metadata: string, more: string) =>
    `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"v"${metadata}},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"a","image":"b"}]}}${more}}}`;

  it('finds unknown and repeated fields of built-in objects and of their metadata', async () => {
    const body = deployment(',"unknownMeta":"m"', ',"unknown1":"u","paused":true,"paused":true');
    const strict = await server.request('POST', `${DEPLOYMENTS}?fieldValidation=Strict`, { body });
    expect(strict.status).toBe(400);
    expect(strict.body.message).toBe(
      'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "metadata.unknownMeta", unknown field "spec.unknown1", duplicate field "spec.paused"',
    );
    const warned = await server.request('POST', `${DEPLOYMENTS}?fieldValidation=Warn`, { body });
    expect(warned.status).toBe(201);
    expect(warned.headers.warning).toBe(
      '299 - "unknown field \\"metadata.unknownMeta\\"", 299 - "unknown field \\"spec.unknown1\\"", 299 - "duplicate field \\"spec.paused\\""',
    );
    await server.request('DELETE', `${DEPLOYMENTS}/v`);
  });

  it('finds them in patches, and what does not fit', async () => {
    await server.request('POST', DEPLOYMENTS, { body: deployment('', '') });
    const patch = (type: string, body: string, mode = 'Strict') =>
      server.request('PATCH', `${DEPLOYMENTS}/v?fieldValidation=${mode}`, {
        ...{ type: `application/${type}`, body },
      });
    const twice = '{"spec":{"other":1,"paused":true,"paused":true}}';
    for (const type of ['merge-patch+json', 'strategic-merge-patch+json']) {
      const { status, body } = await patch(type, twice);
      expect(status).toBe(422);
      expect(body.message).toMatch(
        /^ "" is invalid: patch: Invalid value: ".*": strict decoding error: duplicate field "spec.paused", unknown field "spec.other"$/,
      );
      const { headers } = await patch(type, twice, 'Warn');
      expect(headers.warning).toBe(
        '299 - "duplicate field \\"spec.paused\\"", 299 - "unknown field \\"spec.other\\""',
      );
    }
    const json = '[{"op":"test","path":"/kind","path":"/kind","foo":1,"value":"Deployment"}]';
    expect((await patch('json-patch+json', json)).body.message).toContain(
      'strict decoding error: json patch unknown field "[0].foo", json patch duplicate field "[0].path"',
    );
    for (const [type, body, why] of [
      [
        'merge-patch+json',
        '{"spec":{"replicas":"x"}}',
        'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
      ],
      [
        'strategic-merge-patch+json',
        '{"spec":{"replicas":"x"},"kind":null}',
        'patch: Invalid value: "map[kind:<nil> spec:map[replicas:x]]": unrecognized type: int32',
      ],
      [
        'strategic-merge-patch+json',
        '{"metadata":{"labels":{"a":1}}}',
        'cannot convert int64 to string',
      ],
      ['strategic-merge-patch+json', '{"spec":1}', 'cannot restore struct from: int64'],
    ] as const) {
      const answer = await patch(type, body);
      expect(answer.status, answer.text).toBe(422);
      expect(answer.body.message).toContain(why);
    }
    await server.request('DELETE', `${DEPLOYMENTS}/v`);
  });

  it('finds them in custom resources, their metadata and that of embedded objects', async () => {
    const embedded = {
      ...{ type: 'object', 'x-kubernetes-embedded-resource': true },
      properties: { apiVersion: { type: 'string' }, kind: { type: 'string' } },
    };
    const schema = {
      type: 'object',
      properties: { spec: { type: 'object', properties: { a: { type: 'string' }, embedded } } },
    };
    await define(crd('strict.example.com', 'checks', [version('v1', schema)]));
    await define(crd('strict.example.com', 'lenients', [version('v1', FREE)]));
    const path = (plural: string) =>
      `/apis/strict.example.com/v1/namespaces/default/${plural}?fieldValidation=Strict`;
    const object = (kind: string, rest: string) =>
      `{"apiVersion":"strict.example.com/v1","kind":"${kind}","metadata":{"name":"x","unknownMeta":1},${rest}}`;
    const inner =
      '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"n","unknownSubMeta":1}}';
    const refused = await server.request('POST', path('checks'), {
      body: object('Check', `"spec":{"a":"1","a":"2","b":"3","embedded":${inner}}`),
    });
    expect(refused.status).toBe(400);
    for (const found of [
      'unknown field "metadata.unknownMeta"',
      'unknown field "spec.b"',
      'unknown field "spec.embedded.metadata.unknownSubMeta"',
      'duplicate field "spec.a"',
    ]) {
      expect(refused.body.message).toContain(found);
    }
    const lenient = await server.request('POST', path('lenients'), {
      body: object('Lenient', '"spec":{"anything":1,"twice":1,"twice":2}'),
    });
    expect(lenient.body.message).toContain('duplicate field "spec.twice"');
    expect(lenient.body.message).not.toContain('anything');
    for (const plural of ['checks', 'lenients']) {
      await server.request('DELETE', `${CRDS}/${plural}.strict.example.com`);
    }
  });
});

describe('a Namespace', () => {
  it('has its name as a label, also one that the server has made', async () => {
    const label = 'kubernetes.io/metadata.name';
    for (const given of [{ name: 'labelled' }, { generateName: 'labelled-' }]) {
      const labels = { [label]: 'another' };
      const body = { metadata: { ...given, labels } };
      const made = await server.request('POST', '/api/v1/namespaces', { body });
      expect(made.status).toBe(201);
      const { name } = made.body.metadata;
      expect(made.body.metadata.labels).toEqual({ [label]: name });
    }
  });

  it('is patched, updated, given a status and held by a finalizer', async () => {
    const path = '/api/v1/namespaces/row';
    await server.request('POST', '/api/v1/namespaces', { body: { metadata: { name: 'row' } } });
    const labels = { 'e2e-testing': 'patched' };
    const patched = await server.request('PATCH', path, { body: { metadata: { labels } } });
    expect(patched.body.metadata.labels).toMatchObject(labels);
    const status = { conditions: [{ type: 'StatusPatch', status: 'True' }] };
    const told = await server.request('PATCH', `${path}/status`, { body: { status } });
    expect(told.body.status).toMatchObject({ phase: 'Active', ...status });
    const { body: current } = await server.request('GET', path);
    current.metadata.labels.updated = 'yes';
    const updated = await server.request('PUT', path, { body: current });
    expect(updated.body.metadata.labels.updated).toBe('yes');
    expect(updated.body.status.conditions).toMatchObject(status.conditions);
    const finalizer = 'e2e.example.com/fakeFinalizer';
    const spec = { finalizers: [...updated.body.spec.finalizers, finalizer] };
    const held = await server.request('PUT', `${path}/finalize`, {
      body: { ...updated.body, spec },
    });
    expect(held.body.spec.finalizers).toContain(finalizer);
    const going = await server.request('DELETE', path);
    expect(going.status).toBe(200);
    const { body: waiting } = await server.request('GET', path);
    expect(waiting.status.phase).toBe('Terminating');
    await server.request('PUT', `${path}/finalize`, { body: { ...waiting, spec: {} } });
    expect((await server.request('GET', path)).status).toBe(404);
  });
});

/** One of a few objects is made or replaced, and gone again each seventh time. */
async function change(path: string, i: number): Promise<void> {
  const name = `order-${i % 5}`;
  const body = { metadata: { name }, data: { i: String(i) } };
  const made = await server.request('POST', path, { body });
  if (made.status === 409) await server.request('PUT', `${path}/${name}`, { body });
  if (i % 7 === 6) await server.request('DELETE', `${path}/${name}`);
}

describe('watches', () => {
  it('of one kind are told everything in one order, wherever they begin', async () => {
    const path = '/api/v1/namespaces/default/configmaps';
    const { body: start } = await server.request('GET', path);
    const from = `${path}?watch=1&resourceVersion=${start.metadata.resourceVersion}`;
    const watches = [server.watch(from)];
    await watches[0]?.status();
    for (let i = 0; i < 30; i++) {
      await change(path, i);
      if (i % 3 === 0) watches.push(server.watch(from));
    }
    const count = 34;
    const told = await Promise.all(
      watches.map(async (watch) => {
        const events = await watch.first(count);
        return events.map(({ type, object }) => `${type} ${object.metadata.resourceVersion}`);
      }),
    );
    for (const one of told) expect(one).toEqual(told[0]);
    const revisions = told[0]?.map((line) => Number(line.split(' ')[1])) ?? [];
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
    for (const watch of watches) watch.close();
  });
});

describe('a get', () => {
  it('waits for the revision that it must not be older than, and refuses one that does not come', async () => {
    const path = '/api/v1/namespaces/default';
    const { body } = await server.request('GET', path);
    const { resourceVersion } = body.metadata;
    const found = await server.request('GET', `${path}?resourceVersion=${resourceVersion}`);
    expect(found.status).toBe(200);
    const early = await server.request('GET', `${path}?resourceVersion=999999999`);
    expect([early.status, early.body.reason]).toEqual([504, 'Timeout']);
    expect(early.body.message).toContain('Too large resource version: 999999999');
    const broken = await server.request('GET', `${path}?resourceVersion=some`);
    expect([broken.status, broken.body.reason]).toEqual([422, 'Invalid']);
  });
});

describe('an eviction', () => {
  it('of another Pod than the one of its path evicts neither; and what runs nowhere has no log', async () => {
    await server.request('POST', '/api/v1/namespaces/default/serviceaccounts', {
      body: { metadata: { name: 'default' } },
    });
    const pods = '/api/v1/namespaces/default/pods';
    const spec = { containers: [{ name: 'a', image: 'b' }] };
    const body = { metadata: { name: 'stays' }, spec };
    expect((await server.request('POST', pods, { body })).status).toBe(201);
    const refused = await server.request('POST', `${pods}/stays/eviction`, {
      body: { metadata: { name: 'other' } },
    });
    expect(refused.status).toBe(400);
    expect(refused.body.message).toBe('name in URL does not match name in Eviction object');
    const log = await server.request('GET', `${pods}/stays/log`);
    expect([log.status, log.text]).toEqual([204, '']);
    const other = await server.request('GET', `${pods}/stays/log?container=other`);
    expect(other.body.message).toBe('container other is not valid for pod stays');
    expect((await server.request('GET', `${pods}/stays`)).body.metadata.deletionTimestamp).toBe(
      undefined,
    );
  });
});

describe('what is not served', () => {
  const MISSING = 'the server could not find the requested resource';

  it.each([
    '/api/v2',
    '/api/v1/nothings',
    '/apis/apps/v9',
    '/apis/apps/v1/nothings',
    '/api/v1/namespaces/default/pods/x/nothing',
    '/version/nothing',
  ])('is said by a Status at %s', async (path) => {
    const { status, body } = await server.request('GET', path);
    expect(status).toBe(404);
    expect(body).toEqual({
      ...{ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure' },
      ...{ message: MISSING, reason: 'NotFound', details: {}, code: 404 },
    });
  });

  it.each([
    '/nothing',
    '/apis/none',
    '/apis/none/v1',
    '/apis/none.example.com/v1/things',
    '/openapi/v4',
    '/healthz/none',
    '/metrics/none',
    '/debug/none',
  ])('is said in plain text at %s', async (path) => {
    const { status, text, headers } = await server.request('GET', path);
    expect([status, text]).toEqual([404, '404 page not found\n']);
    expect(headers['content-type']).toBe('text/plain; charset=utf-8');
  });

  it('of a method is said for built-in kinds and for custom ones', async () => {
    const { status, body } = await server.request('POST', '/api/v1/pods', { body: {} });
    expect([status, body.reason, body.details]).toEqual([405, 'MethodNotAllowed', {}]);
    await define(crd('few.example.com', 'verbs', [version('v1', FREE)]));
    const path = '/apis/few.example.com/v1/namespaces/default/verbs';
    const scale = await server.request('GET', `${path}/x/scale`);
    expect(scale.status).toBe(404);
    expect(scale.body.message).toBe('verbs.few.example.com "x" not found');
    await server.request('DELETE', `${CRDS}/verbs.few.example.com`);
  });

  it('as a table is refused with 406', async () => {
    const { status, body } = await server.request(
      'POST',
      '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      {
        accept: 'application/json;as=Table;g=meta.k8s.io;v=v1',
        body: { spec: { resourceAttributes: { verb: 'get', resource: 'pods' } } },
      },
    );
    expect([status, body.reason]).toEqual([406, 'NotAcceptable']);
  });

  it('and what is served is of one version', async () => {
    const { body } = await server.request('GET', '/version');
    expect(body).toMatchObject({ major: '1', minor: '36' });
    expect(body.gitVersion).toMatch(/^v1\.36\./);
  });
});
