import { once } from 'node:events';
import { connect } from 'node:http2';
import { Agent, request } from 'node:https';
import { afterEach, describe, expect, it } from 'vitest';
import { ApiError } from '../../src/api/errors.ts';
import { createClient } from '../../src/client/rest-client.ts';
import { MemoryStorage } from '../../src/storage/memory.fake.ts';
import { StorageError } from '../../src/storage/storage.ts';
import { realClock } from '../../src/util/clock.ts';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';

const SLICE = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes';
const ENDPOINTS = '/api/v1/namespaces/default/endpoints/kubernetes';

const servers: TestApiServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

async function start(address: string, storage?: MemoryStorage): Promise<TestApiServer> {
  const server = await startApiServer(
    { advertise: `${address}:6443`, sharesStore: storage !== undefined },
    storage,
  );
  servers.push(server);
  return server;
}

async function addresses(server: TestApiServer): Promise<string[]> {
  const { body } = await server.request('GET', SLICE);
  return (body.endpoints ?? []).flatMap((one: { addresses: string[] }) => one.addresses);
}

const become = (server: TestApiServer, wanted: string[]) =>
  eventually(`the end points are ${wanted}`, async () => {
    return JSON.stringify(await addresses(server)) === JSON.stringify(wanted);
  });

describe('the end points of the Service kubernetes', () => {
  it('are all API servers that share the store, and no longer one that has ended', async () => {
    const storage = new MemoryStorage(realClock);
    const first = await start('192.0.2.1', storage);
    expect(await addresses(first)).toEqual(['192.0.2.1']);
    const second = await start('192.0.2.2', storage);
    await become(first, ['192.0.2.1', '192.0.2.2']);
    const { body } = await first.request('GET', ENDPOINTS);
    expect(body.subsets[0].addresses).toEqual([{ ip: '192.0.2.1' }, { ip: '192.0.2.2' }]);
    await servers.pop()?.stop();
    expect(second).not.toBe(first);
    await become(first, ['192.0.2.1']);
  });

  it('are there when several servers make a cluster at the same moment', async () => {
    const storage = new MemoryStorage(realClock);
    const names = ['192.0.2.1', '192.0.2.2', '192.0.2.3'];
    const [first] = await Promise.all(names.map((address) => start(address, storage)));
    if (first) await become(first, names);
  });

  it('are made again when somebody takes or changes them', async () => {
    const server = await start('192.0.2.1');
    await server.request('DELETE', SLICE);
    await become(server, ['192.0.2.1']);
    await server.request('PATCH', SLICE, { body: { endpoints: [{ addresses: ['192.0.2.9'] }] } });
    await become(server, ['192.0.2.1']);
    const service = '/api/v1/namespaces/default/services/kubernetes';
    await server.request('DELETE', service);
    const back = async () => (await server.request('GET', service)).status === 200;
    await eventually('the Service is back', back);
  });
});

/** The same store, which can be held back from telling one server of what is written. */
function behind(storage: MemoryStorage) {
  const held: (() => void)[] = [];
  let isHeld = false;
  const watch: MemoryStorage['watch'] = (prefix, from, sink, signal) => {
    const later = (act: () => void) => {
      if (isHeld) held.push(act);
      else act();
    };
    const events: typeof sink.events = (batch) => later(() => sink.events(batch));
    const progress = (revision: number) => later(() => sink.progress?.(revision));
    return storage.watch(prefix, from, { events, progress }, signal);
  };
  let asked = 0;
  const newest = async () => {
    asked++;
    return (await storage.status()).revision;
  };
  const own: Record<string | symbol, unknown> = { watch, newest };
  const view = new Proxy(storage, {
    get(target, name) {
      const member = own[name] ?? Reflect.get(target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  const hold = () => {
    isHeld = true;
  };
  const catchUp = () => {
    isHeld = false;
    for (const act of held.splice(0)) act();
  };
  return { view, hold, catchUp, asked: () => asked };
}

describe('an API server that has not heard yet of what another one has written', () => {
  const PATH = '/api/v1/namespaces/default/configmaps';
  const seed = { metadata: { name: 'a' }, data: { at: 'start' } };

  async function pair() {
    const storage = new MemoryStorage(realClock);
    const first = await start('192.0.2.1', storage);
    expect((await first.request('POST', PATH, { body: seed })).status).toBe(201);
    const { view, hold, catchUp, asked } = behind(storage);
    const second = await startApiServer({ advertise: '192.0.2.2:6443' }, view);
    servers.push(second);
    // It knows the object as it was.
    const known = second.request('GET', `${PATH}/a?resourceVersion=0`);
    expect((await known).body.data).toEqual({ at: 'start' });
    hold();
    const { body } = await first.request('PATCH', `${PATH}/a`, { body: { data: { at: 'next' } } });
    return { first, second, catchUp, asked, next: body };
  }

  it.each([
    ['a patch to what it was before', 'PATCH', () => ({ data: { at: 'start' } }), 'start'],
    ['a replacement of the latest', 'PUT', (next: object) => ({ ...next, data: { at: 'z' } }), 'z'],
  ])('does %s', async (_what, method, bodyOf, result) => {
    const { first, second, catchUp, next } = await pair();
    const asked = second.request(method, `${PATH}/a`, { body: bodyOf(next) });
    await eventually('it is written', async () => {
      return (await first.request('GET', `${PATH}/a`)).body.data.at === result;
    });
    catchUp();
    expect(await asked).toMatchObject({ status: 200, body: { data: { at: result } } });
  });

  it('deletes, and refuses by what there is now', async () => {
    const { first, second, catchUp, next } = await pair();
    const { uid, resourceVersion } = next.metadata;
    await first.request('POST', PATH, { body: { metadata: { name: 'new' } } });
    const body = { preconditions: { uid, resourceVersion } };
    const deleting = ['a', 'new'].map((name) =>
      second.request('DELETE', `${PATH}/${name}`, name === 'a' ? { body } : {}),
    );
    const isGone = async (name: string) =>
      (await first.request('GET', `${PATH}/${name}`)).status === 404;
    await eventually('both are gone', async () => (await isGone('a')) && (await isGone('new')));
    const again = await second.request('DELETE', `${PATH}/a`);
    expect(again.status).toBe(404);
    catchUp();
    expect((await Promise.all(deleting)).map(({ status }) => status)).toEqual([200, 200]);
  });

  it('takes what goes into a namespace that is new', async () => {
    const { first, second, catchUp } = await pair();
    await first.request('POST', '/api/v1/namespaces', { body: { metadata: { name: 'fresh' } } });
    const path = '/api/v1/namespaces/fresh/configmaps';
    const making = second.request('POST', path, { body: { metadata: { name: 'in' } } });
    const isThere = async () => (await first.request('GET', `${path}/in`)).status === 200;
    await eventually('it is made', isThere);
    catchUp();
    expect((await making).status).toBe(201);
  });

  it('holds the Pods of a namespace that is new to what it says', async () => {
    const { first, second, catchUp, asked } = await pair();
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await first.request('POST', '/api/v1/namespaces', {
      body: { metadata: { name: 'strict', labels } },
    });
    const account = { metadata: { name: 'default' } };
    await first.request('POST', '/api/v1/namespaces/strict/serviceaccounts', { body: account });
    const spec = { hostNetwork: true, containers: [{ name: 'c', image: 'i' }] };
    const before = asked();
    const making = second.request('POST', '/api/v1/namespaces/strict/pods', {
      body: { metadata: { name: 'loose' }, spec },
    });
    await eventually('it asks what there is', () => asked() > before);
    catchUp();
    const { status, body } = await making;
    expect([status, body.message]).toEqual([403, expect.stringContaining('violates PodSecurity')]);
  });

  it('deletes a collection with all that is in it', async () => {
    const { first, second, catchUp, asked } = await pair();
    await first.request('POST', PATH, { body: { metadata: { name: 'new' } } });
    const before = asked();
    const deleting = second.request('DELETE', PATH);
    await eventually('it asks what there is', () => asked() > before);
    catchUp();
    expect((await deleting).status).toBe(200);
    expect((await first.request('GET', PATH)).body.items).toEqual([]);
  });
});

describe('an API server that is asked to end', () => {
  it('is not ready any more, but answers until its delay is over', async () => {
    const server = await startApiServer({ shutdownDelayMs: 4000 });
    const client = await createClient(server.kubeconfig);
    const answer = (path: string) =>
      client.raw('GET', path).then(
        () => 200,
        (err: unknown) => (err instanceof ApiError ? err.code : 0),
      );
    expect(await answer('/readyz')).toBe(200);
    const stopped = server.stop();
    await eventually('it is not ready', async () => (await answer('/readyz')) === 500);
    expect(await answer('/livez')).toBe(200);
    expect(await answer('/api/v1/namespaces')).toBe(200);
    await stopped;
    expect(await answer('/livez')).toBe(0);
    client.close();
  });
});

describe('an API server that does not reach its store', () => {
  const PATH = '/api/v1/namespaces/default/configmaps';
  const BODY = JSON.stringify({ metadata: { name: 'away' } });

  async function startWithoutStore(): Promise<TestApiServer> {
    const storage = new MemoryStorage(realClock);
    const server = await start('192.0.2.1', storage);
    const there = { metadata: { name: 'there' } };
    expect((await server.request('POST', PATH, { body: there })).status).toBe(201);
    storage.create = () => Promise.reject(new StorageError('unavailable', 'etcd: no leader'));
    return server;
  }

  it('ends the connection with its answer, so that the next request may reach another one', async () => {
    const { url, tls } = await startWithoutStore();
    const agent = new Agent({ keepAlive: true, ...tls });
    const headers = { 'content-type': 'application/json' };
    const asking = request(url + PATH, { agent, method: 'POST', headers });
    asking.end(BODY);
    const [answer] = await once(asking, 'response');
    expect([answer.statusCode, answer.headers.connection]).toEqual([503, 'close']);
    answer.resume();
    agent.destroy();
  });

  it('takes no more requests on an HTTP/2 connection, whose watches go on', async () => {
    const { url, tls, request: ask } = await startWithoutStore();
    const session = connect(url, tls);
    const watch = session.request({ ':path': `${PATH}?watch=1` });
    expect((await once(watch, 'response'))[0][':status']).toBe(200);
    const left = once(session, 'goaway');
    const create = session.request({
      ':method': 'POST',
      ':path': PATH,
      'content-type': 'application/json',
    });
    create.end(BODY);
    expect((await once(create, 'response'))[0][':status']).toBe(503);
    const [code] = await left;
    expect(code).toBe(0);
    let told = '';
    watch.on('data', (data: Buffer) => {
      told += String(data);
    });
    const label = { metadata: { labels: { seen: 'true' } } };
    expect((await ask('PATCH', `${PATH}/there`, { body: label })).status).toBe(200);
    await eventually('the watch tells of it', () => told.includes('"MODIFIED"'));
    session.destroy();
  });
});
