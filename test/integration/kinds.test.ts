import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { CLUSTER_SAMPLES, NAMESPACED_SAMPLES, type Sample } from '../support/samples.ts';

// Each stored kind, over real HTTP: create, read, print, change, refuse, delete.

let server: TestApiServer;
let plurals: Map<string, string>;

beforeAll(async () => {
  server = await startApiServer();
  // Every Pod runs as one; elsewhere a controller makes it.
  await server.request('POST', '/api/v1/namespaces/default/serviceaccounts', {
    body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } },
  });
  plurals = new Map();
  for (const root of new Set([...NAMESPACED_SAMPLES, ...CLUSTER_SAMPLES].map(([path]) => path))) {
    const { body } = await server.request('GET', `/${root}`);
    for (const { name, kind } of body.resources) {
      if (!name.includes('/')) plurals.set(`${root}/${kind}`, name);
    }
  }
  await server.request('POST', '/api/v1/namespaces', { body: { metadata: { name: 'default' } } });
});

afterAll(() => server.stop());

function collectionOf([root, kind]: Sample, namespace: string): string {
  const plural = plurals.get(`${root}/${kind}`);
  return `/${root}/${namespace === '' ? '' : `namespaces/${namespace}/`}${plural}`;
}

const cases = [
  ...NAMESPACED_SAMPLES.map((sample) => [`${sample[0]} ${sample[1]}`, sample, 'default'] as const),
  ...CLUSTER_SAMPLES.map((sample) => [`${sample[0]} ${sample[1]}`, sample, ''] as const),
];

describe('each stored kind', () => {
  test.each(cases)('%s lives its life', async (_title, sample, namespace) => {
    const [, kind, content, name = 'sample'] = sample;
    const collection = collectionOf(sample, namespace);
    const body = { metadata: { name }, ...content };
    const created = await server.request('POST', `${collection}?fieldValidation=Strict`, { body });
    expect([created.status, created.body.message]).toEqual([201, undefined]);
    expect(created.body).toMatchObject({ kind, metadata: { name } });

    const again = await server.request('POST', collection, { body });
    expect([again.status, again.body.reason]).toEqual([409, 'AlreadyExists']);

    const path = `${collection}/${name}`;
    const read = await server.request('GET', path);
    expect(read.body.metadata.uid).toBe(created.body.metadata.uid);

    const table = await server.request('GET', path, {
      accept: 'application/json;as=Table;g=meta.k8s.io;v=v1',
    });
    expect(table.body.rows[0].cells).toHaveLength(table.body.columnDefinitions.length);

    const put = await server.request('PUT', path, { body: read.body });
    expect([put.status, put.body.message]).toEqual([200, undefined]);

    const patch = await server.request('PATCH', path, {
      body: { metadata: { labels: { patched: 'yes' } } },
    });
    expect([patch.status, patch.body.metadata.labels]).toMatchObject([200, { patched: 'yes' }]);
    expect(patch.body.metadata.generation).toBe(created.body.metadata.generation);

    const selected = await server.request('GET', `${collection}?labelSelector=patched=yes`);
    expect(
      selected.body.items.map((i: { metadata: { name: string } }) => i.metadata.name),
    ).toContain(name);

    const unknown = await server.request('PATCH', `${path}?fieldValidation=Strict`, {
      body: { noSuchField: 1 },
    });
    expect(unknown.body.status).toBe('Failure');
    expect(unknown.body.message).toContain('unknown field "noSuchField"');

    const deleted = await server.request('DELETE', path);
    expect(deleted.status).toBe(200);
  });

  // Where the name is not free, the server cannot make one.
  const free = cases.filter(([, sample]) => sample[3] === undefined);
  test.each(free)(
    '%s of a name that the server makes is like one of a given name',
    async (...it) => {
      const [, sample, namespace] = it;
      const collection = collectionOf(sample, namespace);
      const make = async (metadata: object) => {
        const body = { metadata, ...sample[2] };
        return (await server.request('POST', `${collection}?dryRun=All`, { body })).body;
      };
      const made = await make({ generateName: 'made-' });
      expect(made.metadata?.name, made.message).toMatch(/^made-.{5}$/);
      const given = await make({ name: made.metadata.name });
      expect(comparable(made)).toEqual(comparable(given));
    },
  );
});

/** Without what no two objects share: identifiers, times, and the name of the volume with a Pod's token. */
function comparable({ metadata, ...rest }: { metadata: Record<string, unknown> }): object {
  const { uid, creationTimestamp, managedFields, generateName, ...kept } = metadata;
  const text = JSON.stringify({ metadata: kept, ...rest })
    .replaceAll(String(uid), 'UID')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replaceAll(/kube-api-access-\w+/g, 'kube-api-access');
  return JSON.parse(text);
}
