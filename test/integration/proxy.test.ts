import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';

// Names that a careless look for the word `proxy` in the path would stumble over.
const NAMESPACE = 'proxy';
const POD = 'proxy';

// An address of this machine that is not loopback: the proxy goes to no other.
const HOST =
  Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '';

let server: TestApiServer;
let backend: Server;
let port: number;

beforeAll(async () => {
  backend = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    if (req.url?.startsWith('/move')) {
      res.writeHead(302, { location: '/moved?a=b' }).end();
      return;
    }
    res.writeHead(req.url === '/teapot' ? 418 : 200, { 'x-from': 'backend' });
    const { method, url, headers } = req;
    res.end(JSON.stringify({ method, url, headers, body: Buffer.concat(chunks).toString() }));
  });
  backend.listen(0, HOST);
  await once(backend, 'listening');
  port = (backend.address() as AddressInfo).port;
  server = await startApiServer();
  await server.request('POST', '/api/v1/namespaces', { body: { metadata: { name: NAMESPACE } } });
  await server.request('POST', `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`, {
    body: { metadata: { name: 'default' } },
  });
  const pods = `/api/v1/namespaces/${NAMESPACE}/pods`;
  const container = { name: 'c', image: 'i', ports: [{ name: 'web', containerPort: port }] };
  const made = await server.request('POST', pods, {
    body: { metadata: { name: POD }, spec: { containers: [container] } },
  });
  if (made.status !== 201) throw new Error(made.text);
  await server.request('PATCH', `${pods}/${POD}/status`, {
    body: { status: { podIP: HOST, podIPs: [{ ip: HOST }] } },
  });
});
afterAll(async () => {
  await server.stop();
  backend.close();
});

const path = (name: string, rest = '') =>
  `/api/v1/namespaces/${NAMESPACE}/pods/${name}/proxy${rest}`;

describe('the proxy of a Pod', () => {
  it.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])('passes %s on', async (method) => {
    const { body, headers } = await server.request(
      method,
      path(`${POD}:${port}`, '/some/path?q=1'),
      {
        ...(method === 'GET' || method === 'OPTIONS' ? {} : { body: 'foo' }),
        headers: { authorization: 'Bearer secret', 'x-mine': 'yes', 'x-remote-user': 'me' },
      },
    );
    expect(body).toMatchObject({ method, url: '/some/path?q=1' });
    expect(body.body).toBe(method === 'GET' || method === 'OPTIONS' ? '' : 'foo');
    expect(body.headers['x-mine']).toBe('yes');
    expect(body.headers.authorization).toBeUndefined();
    expect(body.headers['x-remote-user']).toBeUndefined();
    expect(headers['x-from']).toBe('backend');
  });

  it('takes ports by name, and schemes', async () => {
    for (const name of [
      `${POD}:web`,
      `http:${POD}:web`,
      encodeURIComponent(`http:${POD}:${port}`),
    ]) {
      expect((await server.request('GET', path(name, '/'))).body.url).toBe('/');
    }
    expect((await server.request('GET', path(`ftp:${POD}:web`, '/'))).status).toBe(400);
  });

  it('answers with the code of the back end', async () => {
    expect((await server.request('GET', path(`${POD}:web`, '/teapot'))).status).toBe(418);
  });

  it.each(['GET', 'HEAD'])('sends %s of its root to the directory', async (method) => {
    const { status, headers } = await server.request(method, path(`${POD}:web`, '?a=b'));
    expect([status, headers.location]).toEqual([301, path(`${POD}:web`, '/?a=b')]);
  });

  it('brings redirects of the back end back through itself', async () => {
    const { status, headers } = await server.request('GET', path(`${POD}:web`, '/move'));
    expect([status, headers.location]).toEqual([302, path(`${POD}:web`, '/moved?a=b')]);
  });

  it('says that nobody answers', async () => {
    const { status, body } = await server.request('GET', path(`${POD}:1`, '/'));
    expect(status).toBe(503);
    expect(body.message).toContain('error trying to reach service');
  });
});
