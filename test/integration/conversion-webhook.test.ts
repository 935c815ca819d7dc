import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';
import { type HttpsPeer, startHttpsPeer } from '../support/https-peer.ts';

let server: TestApiServer;
let webhook: HttpsPeer;
let isBroken = false;
let isAway = false;

interface Endpoint {
  apiVersion: string;
  metadata: object;
  hostPort?: string;
  host?: string;
  port?: string;
}

/** v1 has `hostPort: a:1`, v2 has `host: a` and `port: 1`. */
function convert(object: Endpoint, apiVersion: string): Endpoint {
  const { hostPort, host, port, ...rest } = object;
  if (hostPort === 'odd') throw new Error('no port');
  if (apiVersion.endsWith('v2')) {
    const [h = '', p = ''] = (hostPort ?? '').split(':');
    return { ...rest, apiVersion, host: h, port: p };
  }
  return { ...rest, apiVersion, hostPort: `${host}:${port}` };
}

function review(text: string) {
  const { request, ...head } = JSON.parse(text);
  const { uid } = request;
  let objects: Endpoint[];
  try {
    objects = request.objects.map((o: Endpoint) => convert(o, request.desiredAPIVersion));
  } catch (err) {
    const result = { status: 'Failed', message: String(err) };
    return { ...head, response: { uid, convertedObjects: [], result } };
  }
  const result = isBroken ? { status: 'Failed', message: 'out of order' } : { status: 'Success' };
  return { ...head, response: { uid, convertedObjects: objects, result } };
}

const text = { type: 'string' };
const version = (name: string, fields: string[], more: object) => ({
  name,
  served: true,
  storage: false,
  selectableFields: fields.map((field) => ({ jsonPath: `.${field}` })),
  schema: {
    openAPIV3Schema: {
      type: 'object',
      properties: Object.fromEntries(fields.map((field) => [field, text])),
    },
  },
  ...more,
});

beforeAll(async () => {
  server = await startApiServer();
  webhook = await startHttpsPeer(({ text }) =>
    isAway ? { status: 503, body: {} } : { body: review(text) },
  );
  const body = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'ends.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'ends', kind: 'End' },
      versions: [
        version('v1', ['hostPort'], { storage: true }),
        version('v2', ['host', 'port'], {}),
      ],
      conversion: {
        strategy: 'Webhook',
        webhook: {
          conversionReviewVersions: ['v1'],
          clientConfig: {
            url: `https://localhost:${webhook.port}/convert`,
            caBundle: webhook.caBundle,
          },
        },
      },
    },
  };
  const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const { status, text: why } = await server.request('POST', crds, { body });
  if (status !== 201) throw new Error(why);
  await eventually('it is served', async () => (await server.request('GET', V2)).status === 200);
});
afterAll(async () => {
  await server.stop();
  await webhook.close();
});

const V1 = '/apis/example.com/v1/namespaces/default/ends';
const V2 = '/apis/example.com/v2/namespaces/default/ends';
const create = (name: string, host: string) =>
  server.request('POST', V2, {
    body: {
      apiVersion: 'example.com/v2',
      kind: 'End',
      metadata: { name, labels: { of: 'test' } },
      ...{ host, port: '80' },
    },
  });

describe('a CustomResourceDefinition that converts by webhook', () => {
  it('stores what is written in one version and reads it in the other', async () => {
    const made = await create('one', 'a');
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ apiVersion: 'example.com/v2', host: 'a', port: '80' });
    expect(made.body.hostPort).toBeUndefined();
    const { body: v1 } = await server.request('GET', `${V1}/one`);
    expect(v1).toMatchObject({ apiVersion: 'example.com/v1', hostPort: 'a:80' });
    expect(v1.metadata).toMatchObject({
      uid: made.body.metadata.uid,
      labels: { of: 'test' },
      resourceVersion: made.body.metadata.resourceVersion,
    });
    const { body: v2 } = await server.request('GET', `${V2}/one`);
    expect(v2).toMatchObject({ apiVersion: 'example.com/v2', host: 'a', port: '80' });
  });

  it('updates, patches and applies in either version', async () => {
    await create('two', 'a');
    const patched = await server.request('PATCH', `${V2}/two`, { body: { host: 'b' } });
    expect(patched.body).toMatchObject({ host: 'b', port: '80' });
    const current = await server.request('GET', `${V1}/two`);
    expect(current.body.hostPort).toBe('b:80');
    const replaced = await server.request('PUT', `${V1}/two`, {
      body: { ...current.body, hostPort: 'c:81' },
    });
    expect(replaced.status).toBe(200);
    const applied = await server.request('PATCH', `${V2}/two?fieldManager=t&force=true`, {
      type: 'application/apply-patch+yaml',
      body: { apiVersion: 'example.com/v2', kind: 'End', metadata: { name: 'two' }, port: '82' },
    });
    expect(applied.body).toMatchObject({ host: 'c', port: '82' });
  });

  it('stores an object in another version when that is the one of today and somebody writes it unchanged', async () => {
    await create('again', 'a');
    const stored = async () =>
      JSON.parse(
        String((await server.storage.get('/registry/example.com/ends/default/again'))?.value),
      );
    const storeAs = async (name: string) => {
      const versions = [
        version('v1', ['hostPort'], { storage: name === 'v1' }),
        version('v2', ['host', 'port'], { storage: name === 'v2' }),
      ];
      const crd = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/ends.example.com';
      const { status } = await server.request('PATCH', crd, { body: { spec: { versions } } });
      expect(status).toBe(200);
      await eventually(`${name} is stored`, async () => {
        await server.request('PATCH', `${V1}/again`, { body: {} });
        return (await stored()).apiVersion === `example.com/${name}`;
      });
    };
    expect(await stored()).toMatchObject({ apiVersion: 'example.com/v1', hostPort: 'a:80' });
    await storeAs('v2');
    expect(await stored()).toMatchObject({ apiVersion: 'example.com/v2', host: 'a', port: '80' });
    await storeAs('v1');
  });

  it('lists and watches objects of either version, selected by the fields of the one that is asked for', async () => {
    const watch = server.watch(`${V2}?watch=1&fieldSelector=host=w`);
    expect(await watch.status()).toBe(200);
    await server.request('POST', V1, {
      body: {
        ...{ apiVersion: 'example.com/v1', kind: 'End', metadata: { name: 'three' } },
        hostPort: 'w:1',
      },
    });
    await create('four', 'x');
    const [added] = await watch.first(1);
    expect(added).toMatchObject({ type: 'ADDED', object: { host: 'w', port: '1' } });
    await server.request('PATCH', `${V2}/three`, { body: { host: 'y' } });
    const [, gone] = await watch.first(2);
    expect(gone?.type).toBe('DELETED');
    watch.close();
    const { body } = await server.request('GET', `${V2}?fieldSelector=host=x`);
    expect(
      body.items.map((o: Endpoint & { metadata: { name: string } }) => o.metadata.name),
    ).toEqual(['four']);
    const { body: all } = await server.request('GET', V1);
    expect(all.items.every((o: Endpoint) => o.apiVersion === 'example.com/v1')).toBe(true);
    expect((await server.request('GET', `${V1}?fieldSelector=host=x`)).status).toBe(400);
  });

  it('says why a conversion failed, and recovers', async () => {
    await create('five', 'f');
    isBroken = true;
    const refused = await create('six', 'g');
    expect(refused.status).toBe(500);
    expect(refused.body.message).toContain(
      'conversion webhook for example.com/v2, Kind=End failed: out of order',
    );
    isBroken = false;
    expect((await create('six', 'g')).status).toBe(201);
    const { body } = await server.request('GET', `${V2}/six`);
    expect(body.host).toBe('g');
  });

  it('cannot show an object that the webhook refuses, and goes on with all others', async () => {
    const elsewhere = V2.replace('default', 'other');
    await server.request('POST', '/api/v1/namespaces', { body: { metadata: { name: 'other' } } });
    const here = server.watch(`${V2}?watch=1&resourceVersion=0`);
    const there = server.watch(`${elsewhere}?watch=1&resourceVersion=0`);
    expect([await here.status(), await there.status()]).toEqual([200, 200]);
    const head = { apiVersion: 'example.com/v1', kind: 'End' };
    const odd = { ...head, metadata: { name: 'odd' }, hostPort: 'odd' };
    expect((await server.request('POST', V1, { body: odd })).status).toBe(201);
    await here.ended();
    const { type, object } = here.events.at(-1) ?? {};
    expect(type).toBe('ERROR');
    expect(object.message).toContain('no port');
    const good = { ...head, metadata: { name: 'good' }, hostPort: 'h:9' };
    await server.request('POST', V1.replace('default', 'other'), { body: good });
    const [added] = await there.first(1);
    expect(added).toMatchObject({ type: 'ADDED', object: { host: 'h', port: '9' } });
    expect((await server.request('GET', `${V2}/one`)).body.host).toBe('a');
    for (const path of [V2, `${V2}/odd`, `${V2}?watch=1`, '/apis/example.com/v2/ends']) {
      const { status, body } = await server.request('GET', path);
      expect([path, status]).toEqual([path, 500]);
      expect(body.message).toContain('conversion webhook for example.com/v1, Kind=End failed');
    }
    expect((await server.request('GET', elsewhere)).body.items).toHaveLength(1);
    await server.request('PATCH', `${V1}/odd`, { body: { hostPort: 'even:2' } });
    const { body } = await server.request('GET', V2);
    expect(body.items.find((o: Endpoint) => o.host === 'even')).toBeDefined();
    await server.request('PATCH', `${V1}/odd`, { body: { hostPort: 'odd' } });
    expect((await server.request('GET', V2)).status).toBe(500);
    await server.request('DELETE', `${V1}/odd`);
    expect((await server.request('GET', V2)).status).toBe(200);
    there.close();
  });

  it('ends the watches of what it cannot show while the webhook is away, and no others', async () => {
    const elsewhere = server.watch(`${V2.replace('default', 'other')}?watch=1&resourceVersion=0`);
    const [here, stored] = [V2, V1].map((path) => server.watch(`${path}?watch=1`));
    expect(await Promise.all([here, stored, elsewhere].map((w) => w?.status()))).toEqual([
      ...[200, 200, 200],
    ]);
    isAway = true;
    try {
      const body = { apiVersion: 'example.com/v1', kind: 'End', metadata: { name: 'away' } };
      const made = await server.request('POST', V1, { body: { ...body, hostPort: 'x:1' } });
      expect(made.status).toBe(201);
      await here?.ended();
      expect(here?.events.at(-1)).toMatchObject({ type: 'ERROR', object: { code: 500 } });
      await eventually('the stored version is told', () =>
        stored?.events.some(({ object }) => object.metadata.name === 'away'),
      );
      expect((await server.request('GET', V2)).status).toBe(500);
    } finally {
      isAway = false;
    }
    expect((await server.request('GET', `${V2}/away`)).body.host).toBe('x');
    const other = { apiVersion: 'example.com/v1', kind: 'End', metadata: { name: 'later' } };
    const path = V1.replace('default', 'other');
    await server.request('POST', path, { body: { ...other, hostPort: 'y:1' } });
    await eventually('the other namespace goes on', () =>
      elsewhere.events.some(({ object }) => object.metadata.name === 'later'),
    );
    for (const watch of [stored, elsewhere]) watch?.close();
  });

  it('shows what was refused as soon as the webhook knows how', async () => {
    await server.request('POST', V1, {
      body: { apiVersion: 'example.com/v1', kind: 'End', metadata: { name: 'l' }, hostPort: 'l:1' },
    });
    isBroken = true;
    await server.request('PATCH', `${V1}/l`, { body: { hostPort: 'm:1' } });
    expect((await server.request('GET', `${V2}/l`)).status).toBe(500);
    isBroken = false;
    expect((await server.request('GET', `${V2}/l`)).body.host).toBe('m');
    expect((await server.request('GET', V2)).status).toBe(200);
  });

  it('goes with its objects although the webhook is gone', async () => {
    isBroken = true;
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/ends.example.com';
    await server.request('DELETE', path);
    await eventually('it is gone', async () => (await server.request('GET', path)).status === 404);
  });
});
