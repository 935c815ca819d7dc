import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startApiServer, type TestApiServer, type TestWatch } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';

// What list and watch promise, over real HTTP.

let server: TestApiServer;
let namespace = '';
let count = 0;
const watches: TestWatch[] = [];

beforeAll(async () => {
  server = await startApiServer();
});
afterAll(() => server.stop());
beforeEach(async () => {
  for (const open of watches.splice(0)) open.close();
  namespace = `ns${count++}`;
  await post('/api/v1/namespaces', { metadata: { name: namespace } });
});

const maps = (): string => `/api/v1/namespaces/${namespace}/configmaps`;
const post = async (path: string, body: object) => {
  const answer = await server.request('POST', path, { body });
  expect(answer.status, answer.text).toBe(201);
  return answer.body;
};
const make = (name: string, labels: Record<string, string> = {}) =>
  post(maps(), { metadata: { name, labels }, data: { a: '1' } });
const change = async (name: string, body: object) => {
  const answer = await server.request('PATCH', `${maps()}/${name}`, { body });
  expect(answer.status, answer.text).toBe(200);
  return answer.body;
};
const list = async (query = '') => (await server.request('GET', `${maps()}?${query}`)).body;
const names = (body: { items: { metadata: { name: string } }[] }): string[] =>
  body.items.map((item) => item.metadata.name);
const watch = (query: string, accept?: string): TestWatch => {
  const open = server.watch(`${maps()}?watch=1&${query}`, accept);
  watches.push(open);
  return open;
};
const told = async (open: TestWatch, n: number): Promise<string[]> =>
  (await open.first(n)).map(({ type, object }) => `${type} ${object.metadata.name}`);

describe('list', () => {
  it('answers objects in the order of their names, with the revision that they were read at', async () => {
    await make('b');
    const last = await make('a');
    const body = await list();
    expect(names(body)).toEqual(['a', 'b']);
    expect(body.kind).toBe('ConfigMapList');
    expect(Number(body.metadata.resourceVersion)).toBeGreaterThanOrEqual(
      Number(last.metadata.resourceVersion),
    );
  });

  it('leaves out of items of built-in kinds what they are, in JSON and YAML', async () => {
    const path = '/api/v1/namespaces?fieldSelector=metadata.name%3Ddefault';
    const plain = (await server.request('GET', path)).body;
    expect(plain).toMatchObject({
      kind: 'NamespaceList',
      items: [{ metadata: { name: 'default' } }],
    });
    expect(Object.keys(plain.items[0])).not.toContain('kind');
    expect((await server.request('GET', `${path}&pretty=1`)).body).toEqual(plain);
    const yaml = await server.request('GET', path, { accept: 'application/yaml' });
    expect(yaml.text).toMatch(/^apiVersion: v1\nitems:\n +- metadata:\n/);
    const partial = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
    const { items } = (await server.request('GET', path, { accept: partial })).body;
    expect(items[0]).toMatchObject({ apiVersion: 'meta.k8s.io/v1', kind: 'PartialObjectMetadata' });
  });

  it('pages through one revision while objects come and go', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) await make(name);
    const first = await list('limit=2');
    expect(names(first)).toEqual(['a', 'b']);
    expect(first.metadata.remainingItemCount).toBe(3);
    await server.request('DELETE', `${maps()}/d`);
    await make('bb');
    await change('c', { data: { a: 'new' } });
    const second = await list(`limit=2&continue=${first.metadata.continue}`);
    expect(names(second)).toEqual(['c', 'd']);
    expect(second.items[0].data.a).toBe('1');
    expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    expect(second.metadata.remainingItemCount).toBe(1);
    const third = await list(`limit=2&continue=${second.metadata.continue}`);
    expect(names(third)).toEqual(['e']);
    expect(third.metadata.continue).toBeUndefined();
    expect(names(await list())).toEqual(['a', 'b', 'bb', 'c', 'e']);
  });

  it('pages through one revision when its snapshot is forgotten, from the history of the store', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f'])
      await make(name, { odd: name < 'c' ? 'n' : 'y' });
    const query = 'limit=2&labelSelector=odd%3Dy';
    const first = await list(query);
    for (let i = 0; i < 5; i++) {
      await change('e', { data: { a: `new ${i}` } });
      await list('limit=1');
    }
    await server.request('DELETE', `${maps()}/f`);
    const second = await list(`${query}&continue=${first.metadata.continue}`);
    expect([...names(first), ...names(second)]).toEqual(['c', 'd', 'e', 'f']);
    expect(second.items[0].data.a).toBe('1');
    expect(second.metadata.continue).toBeUndefined();
  });

  it('gives a way on when the history of a page is gone', async () => {
    for (const name of ['a', 'b', 'c']) await make(name);
    const first = await list('limit=1');
    // The lists that are begun later are remembered instead of this one.
    for (let i = 0; i < 5; i++) {
      await change('c', { data: { a: `new ${i}` } });
      await list('limit=1');
    }
    await server.storage.compact((await server.storage.status()).revision);
    const gone = await server.request(
      'GET',
      `${maps()}?limit=1&continue=${first.metadata.continue}`,
    );
    expect(gone.status).toBe(410);
    expect(gone.body.reason).toBe('Expired');
    expect(gone.body.message).toContain('The provided continue parameter is too old');
    const rest = await list(`continue=${gone.body.metadata.continue}`);
    expect(names(rest)).toEqual(['b', 'c']);
  });

  it('ends with the history of its revision, though nothing has changed since', async () => {
    const forgetful = await startApiServer({ compactionIntervalMs: 100 });
    const at = '/api/v1/namespaces/default/configmaps';
    const get = async (query: string) => forgetful.request('GET', `${at}?${query}`);
    try {
      for (const name of ['a', 'b', 'c']) {
        await forgetful.request('POST', at, { body: { metadata: { name } } });
      }
      const { metadata } = (await get('limit=1')).body;
      await forgetful.request('POST', '/api/v1/namespaces', { body: { metadata: { name: 'x' } } });
      const gone = await eventually('the token has expired', async () => {
        const answer = await get(`limit=1&continue=${metadata.continue}`);
        return answer.status === 410 ? answer : undefined;
      });
      expect(names((await get(`continue=${gone.body.metadata.continue}`)).body)).toEqual([
        'b',
        'c',
      ]);
      const exact = await get(
        `resourceVersion=${metadata.resourceVersion}&resourceVersionMatch=Exact`,
      );
      expect(exact.body).toMatchObject({ code: 410, reason: 'Expired' });
    } finally {
      await forgetful.stop();
    }
  });

  it('pages with a selector without promising how many remain', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await make(name, { odd: name < 'c' ? 'y' : 'n' });
    await make('e', { odd: 'y' });
    const first = await list('limit=2&labelSelector=odd%3Dy');
    expect(names(first)).toEqual(['a', 'b']);
    expect(first.metadata.remainingItemCount).toBeUndefined();
    const second = await list(`labelSelector=odd%3Dy&limit=2&continue=${first.metadata.continue}`);
    expect(names(second)).toEqual(['e']);
  });

  it.each([
    ['labelSelector=tier%20in%20(web,db)', ['a', 'b']],
    ['labelSelector=tier!=web', ['b', 'c']],
    ['labelSelector=!tier', ['c']],
    ['fieldSelector=metadata.name%3Db', ['b']],
    ['fieldSelector=metadata.name!%3Db', ['a', 'c']],
    ['fieldSelector=metadata.namespace%3Dother', []],
  ])('selects by %s', async (query, expected) => {
    await make('a', { tier: 'web' });
    await make('b', { tier: 'db' });
    await make('c');
    expect(names(await list(query))).toEqual(expected);
  });

  it('reads exactly the revision that was asked for, or one that is not older', async () => {
    const first = await make('a');
    await make('b');
    const { resourceVersion: version } = first.metadata;
    const exact = await list(`resourceVersion=${version}&resourceVersionMatch=Exact`);
    expect([names(exact), exact.metadata.resourceVersion]).toEqual([['a'], version]);
    const newer = await list(`resourceVersion=${version}&resourceVersionMatch=NotOlderThan`);
    expect(names(newer)).toEqual(['a', 'b']);
    expect(names(await list('resourceVersion=0&limit=1'))).toEqual(['a', 'b']);
  });

  it('refuses revisions that are to come, and impossible combinations', async () => {
    const late = await server.request('GET', `${maps()}?resourceVersion=9999999`);
    expect([late.status, late.body.reason]).toEqual([504, 'Timeout']);
    expect(late.body.details.causes[0].reason).toBe('ResourceVersionTooLarge');
    for (const [query, field] of [
      ['resourceVersionMatch=Exact', 'resourceVersionMatch'],
      ['resourceVersionMatch=Odd&resourceVersion=1', 'resourceVersionMatch'],
      ['resourceVersionMatch=Exact&resourceVersion=0', 'resourceVersionMatch'],
      ['sendInitialEvents=true', 'sendInitialEvents'],
    ]) {
      const { status, body } = await server.request('GET', `${maps()}?${query}`);
      expect([status, body.reason, body.details.causes[0].field]).toEqual([422, 'Invalid', field]);
    }
    for (const query of ['labelSelector=a%20b', 'fieldSelector=spec.odd%3D1', 'continue=%25']) {
      expect((await server.request('GET', `${maps()}?${query}`)).status, query).toBe(400);
    }
  });
});

describe('watch', () => {
  it('tells what exists, then what happens, when no revision is given', async () => {
    await make('a');
    const open = watch('');
    expect(await told(open, 1)).toEqual(['ADDED a']);
    await make('b');
    await change('a', { data: { a: '2' } });
    await server.request('DELETE', `${maps()}/b`);
    expect(await told(open, 4)).toEqual(['ADDED a', 'ADDED b', 'MODIFIED a', 'DELETED b']);
  });

  it('goes on from a revision without a gap, and deletions carry a revision of their own', async () => {
    const first = await make('a');
    const second = await change('a', { data: { a: '2' } });
    await server.request('DELETE', `${maps()}/a`);
    const open = watch(`resourceVersion=${first.metadata.resourceVersion}`);
    const [modified, deleted] = await open.first(2);
    expect(modified?.object.metadata.resourceVersion).toBe(second.metadata.resourceVersion);
    expect(deleted?.type).toBe('DELETED');
    expect(deleted?.object.data.a).toBe('2');
    expect(Number(deleted?.object.metadata.resourceVersion)).toBeGreaterThan(
      Number(second.metadata.resourceVersion),
    );
  });

  it('turns a change of labels into ADDED and DELETED for those who select', async () => {
    await make('a', { app: 'web' });
    const { metadata } = await list();
    const open = watch(`labelSelector=app%3Dweb&resourceVersion=${metadata.resourceVersion}`);
    await change('a', { metadata: { labels: { app: 'db' } }, data: { a: 'moved' } });
    await change('a', { data: { a: 'unseen' } });
    const back = await change('a', { metadata: { labels: { app: 'web' } } });
    const [left, returned] = await open.first(2);
    // The last state that matched, under the revision at which it did no more.
    expect([left?.type, left?.object.metadata.labels.app, left?.object.data.a]).toEqual([
      'DELETED',
      'web',
      '1',
    ]);
    expect([returned?.type, returned?.object.metadata.resourceVersion]).toEqual([
      'ADDED',
      back.metadata.resourceVersion,
    ]);
  });

  it('follows the fields that are selected', async () => {
    const pods = `/api/v1/namespaces/${namespace}/pods`;
    await post(`/api/v1/namespaces/${namespace}/serviceaccounts`, {
      metadata: { name: 'default' },
    });
    const spec = { containers: [{ name: 'c', image: 'i' }] };
    const open = server.watch(`${pods}?watch=1&fieldSelector=spec.nodeName%3Dn1`);
    watches.push(open);
    await open.status();
    await post(pods, { metadata: { name: 'p' }, spec });
    await post(pods, { metadata: { name: 'q' }, spec });
    const bind = { metadata: { name: 'p' }, target: { kind: 'Node', name: 'n1' } };
    await post(`${pods}/p/binding`, bind);
    expect(await told(open, 1)).toEqual(['ADDED p']);
    const again = await server.request('POST', `${pods}/p/binding`, { body: bind });
    expect([again.status, again.body.message]).toEqual([
      409,
      'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"',
    ]);
  });

  it('marks the end of the initial events when it is asked to', async () => {
    await make('a');
    await make('b');
    const open = watch(
      'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true',
    );
    const events = await open.first(3);
    expect(events.map((e) => e.type)).toEqual(['ADDED', 'ADDED', 'BOOKMARK']);
    const { kind, metadata } = events[2]?.object ?? {};
    expect([kind, metadata.annotations]).toEqual([
      'ConfigMap',
      { 'k8s.io/initial-events-end': 'true' },
    ]);
    await make('c');
    const [, , , added] = await open.first(4);
    expect(Number(added?.object.metadata.resourceVersion)).toBeGreaterThan(
      Number(metadata.resourceVersion),
    );
  });

  it('refuses a revision from before its history with 410', async () => {
    const open = watch('resourceVersion=1');
    expect(await open.status()).toBe(200);
    const [{ type, object } = { type: '', object: {} }] = await open.first(1);
    expect([type, object.code, object.reason]).toEqual(['ERROR', 410, 'Expired']);
    expect(object.message).toMatch(/^too old resource version: 1 \(\d+\)$/);
    await open.ended();
  });

  it('ends after timeoutSeconds', async () => {
    const open = watch('timeoutSeconds=1');
    await open.ended();
    expect(open.events).toEqual([]);
  });

  it('tells tables and metadata to those who ask for them', async () => {
    await make('a');
    const table = watch('', 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json');
    const [row] = await table.first(1);
    expect([row?.object.kind, row?.object.rows[0].cells[0]]).toEqual(['Table', 'a']);
    const partial = watch('', 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io');
    const [meta] = await partial.first(1);
    expect(Object.keys(meta?.object ?? {}).sort()).toEqual(['apiVersion', 'kind', 'metadata']);
  });
});
