import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { isConflict, isGone, isNotFound, notFound } from '../api/errors.ts';
import { NODES, PODS } from '../api/resource-types.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { type Clock, realClock } from '../util/clock.ts';
import { RestClient } from './rest-client.ts';

type Handler = (request: IncomingMessage & { text: string }, response: ServerResponse) => void;

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

/** A client whose server answers as the test says. */
async function clientOf(handler: Handler, clock: Clock = realClock) {
  const seen: { method: string; url: string; body: string; headers: Record<string, unknown> }[] =
    [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const { method = '', url = '', headers } = request;
      seen.push({ method, url, body: text, headers });
      handler(Object.assign(request, { text }), response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const client = new RestClient(
    { server: `http://127.0.0.1:${port}`, token: { data: 'secret' } },
    { userAgent: 'test/v1', clock },
  );
  cleanups.push(() => {
    client.close();
    server.closeAllConnections();
    server.close();
  });
  return { client, seen };
}

function answer(response: ServerResponse, body: unknown, code = 200, headers = {}): void {
  response.writeHead(code, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

const POD = { metadata: { name: 'web', namespace: 'a', resourceVersion: '7' } };

describe('RestClient', () => {
  it('sends its token and agent, and fills in kind and namespace of what it gets', async () => {
    const { client, seen } = await clientOf((_, response) =>
      answer(response, { metadata: { name: 'n1' } }),
    );
    const node = await client.get(NODES, { namespace: '', name: 'n1' });
    expect(seen[0]?.url).toBe('/api/v1/nodes/n1');
    expect(seen[0]?.headers).toMatchObject({
      authorization: 'Bearer secret',
      'user-agent': 'test/v1',
    });
    expect(node).toMatchObject({ apiVersion: 'v1', kind: 'Node', metadata: { namespace: '' } });
  });

  it('keeps a connection, until the server does not believe it', async () => {
    const ports: (number | undefined)[] = [];
    const { client } = await clientOf((request, response) => {
      ports.push(request.socket.remotePort);
      answer(response, POD, ports.length === 2 ? 401 : 200);
    });
    const get = () => client.get(PODS, { namespace: 'a', name: 'web' });
    await get();
    await expect(get()).rejects.toMatchObject({ code: 401 });
    await get();
    expect(ports[1]).toBe(ports[0]);
    expect(ports[2]).not.toBe(ports[1]);
  });

  it('turns a Status answer into the ApiError that it describes', async () => {
    const { client } = await clientOf((_, response) =>
      answer(response, notFound(PODS, 'web').toStatus(), 404),
    );
    const failure = client.get(PODS, { namespace: 'a', name: 'web' });
    await expect(failure).rejects.toSatisfy(isNotFound);
    await expect(failure).rejects.toThrow('pods "web" not found');
  });

  it('makes an ApiError of an answer that is no Status', async () => {
    const { client } = await clientOf((_, response) => {
      response.writeHead(409);
      response.end('busy');
    });
    await expect(client.create(PODS, POD as never)).rejects.toMatchObject({ code: 409 });
  });

  it('waits as Retry-After asks, then tries again', async () => {
    let calls = 0;
    const { client } = await clientOf((_, response) => {
      calls++;
      if (calls < 3) answer(response, {}, 429, { 'retry-after': '0' });
      else answer(response, POD);
    });
    await client.get(PODS, { namespace: 'a', name: 'web' });
    expect(calls).toBe(3);
  });

  it('writes through the paths, media types and options of the API', async () => {
    const { client, seen } = await clientOf((_, response) => answer(response, POD));
    const key = { namespace: 'a', name: 'web' };
    await client.create(PODS, POD as never, { dryRun: true });
    await client.update(PODS, POD as never, { subresource: 'status' });
    await client.patch(PODS, key, { type: 'merge', body: { x: 1 } }, { fieldManager: 'me' });
    await client.delete(PODS, key, { gracePeriodSeconds: 0, preconditions: { uid: 'u' } });
    await client.createSubresource(PODS, key, 'binding', { target: {} });
    expect(seen.map((r) => `${r.method} ${r.url}`)).toEqual([
      'POST /api/v1/namespaces/a/pods?dryRun=All',
      'PUT /api/v1/namespaces/a/pods/web/status',
      'PATCH /api/v1/namespaces/a/pods/web?fieldManager=me',
      'DELETE /api/v1/namespaces/a/pods/web',
      'POST /api/v1/namespaces/a/pods/web/binding',
    ]);
    expect(seen[2]?.headers['content-type']).toBe('application/merge-patch+json');
    expect(JSON.parse(seen[3]?.body ?? '')).toMatchObject({
      kind: 'DeleteOptions',
      gracePeriodSeconds: 0,
      preconditions: { uid: 'u' },
    });
  });

  it('reads watch events however the bytes are cut', async () => {
    const events = [
      { type: 'ADDED', object: { metadata: { name: 'a', resourceVersion: '1' } } },
      { type: 'MODIFIED', object: { metadata: { name: 'ä€', resourceVersion: '2' } } },
      { type: 'BOOKMARK', object: { metadata: { resourceVersion: '9' } } },
    ];
    const bytes = Buffer.from(`${events.map((e) => JSON.stringify(e)).join('\n')}\n{"type":"AD`);
    const { client, seen } = await clientOf((_, response) => {
      for (let at = 0; at < bytes.length; at += 7) response.write(bytes.subarray(at, at + 7));
      response.end();
    });
    const got: string[] = [];
    const signal = new AbortController().signal;
    const options = { resourceVersion: '5', labelSelector: 'app=web' };
    for await (const event of client.watch(PODS, options, signal)) {
      got.push(
        `${event.type} ${event.object.metadata.name} ${event.object.metadata.resourceVersion}`,
      );
    }
    expect(got).toEqual(['ADDED a 1', 'MODIFIED ä€ 2', 'BOOKMARK undefined 9']);
    const query = new URL(`http://x${seen[0]?.url}`).searchParams;
    expect(Object.fromEntries(query)).toMatchObject({
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: '5',
      labelSelector: 'app=web',
    });
  });

  it('throws the ERROR event of a watch', async () => {
    const status = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' };
    const { client } = await clientOf((_, response) => {
      response.end(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
    });
    const watch = client.watch(PODS, { resourceVersion: '1' }, new AbortController().signal);
    await expect(Array.fromAsync(watch)).rejects.toSatisfy(isGone);
  });

  it('leaves a conflict to its caller', async () => {
    const status = { kind: 'Status', code: 409, reason: 'Conflict', message: 'modified' };
    const { client } = await clientOf((_, response) => answer(response, status, 409));
    await expect(client.update(PODS, POD as never)).rejects.toSatisfy(isConflict);
  });

  it('takes a server that does not answer for dead: a reader first, then a writer', async () => {
    const clock = new FakeClock();
    const { client, seen } = await clientOf(() => {}, clock);
    const outcomes: string[] = [];
    const noted = (what: string, promise: Promise<unknown>) =>
      promise.catch((err: Error) => outcomes.push(`${what}: ${err.message}`));
    const watch = client.watch(PODS, { resourceVersion: '1' }, new AbortController().signal);
    const reading = noted('watch', watch[Symbol.asyncIterator]().next());
    const writing = noted('write', client.update(PODS, POD as never));
    await vi.waitFor(() => expect(seen).toHaveLength(2), 30_000);
    await clock.advance(44_999);
    expect(outcomes).toEqual([]);
    await clock.advance(1);
    await reading;
    expect(outcomes).toEqual(['watch: The API server does not answer']);
    await clock.advance(15_000);
    await writing;
    expect(outcomes.slice(1)).toEqual(['write: The API server does not answer']);
  });

  it('ends a watch when its signal aborts', async () => {
    const { client } = await clientOf((_, response) => void response.write('\n'));
    const stop = new AbortController();
    const watch = Array.fromAsync(client.watch(PODS, { resourceVersion: '1' }, stop.signal));
    setTimeout(() => stop.abort(), 20);
    await expect(watch).rejects.toThrow('abort');
  });
});
