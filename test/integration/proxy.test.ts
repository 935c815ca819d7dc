import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Duplex } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificateEnd, createAuthority, issueCertificate } from '../../src/pki/ca.ts';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';

// Names that a careless look for the word `proxy` in the path would stumble over.
const NAMESPACE = 'proxy';
const POD = 'proxy';

// An address of this machine that is not loopback: the proxy goes to no other.
const HOST =
  Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '';

const PAGE =
  '<p>1 < 2 é</p><a href="/up/">u</a><img src="near.png"><a href="https://else.where/x">e</a>';

let server: TestApiServer;
let backend: Server;
let kubelet: HttpsServer;
let port: number;

beforeAll(async () => {
  backend = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    if (req.url?.startsWith('/move')) {
      res.writeHead(302, { location: '/moved?a=b' }).end();
      return;
    }
    if (req.url === '/page') {
      res.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(PAGE);
      return;
    }
    res.writeHead(req.url === '/teapot' ? 418 : 200, { 'x-from': 'backend' });
    const { method, url, headers } = req;
    res.end(JSON.stringify({ method, url, headers, body: Buffer.concat(chunks).toString() }));
  });
  // Shouts back what it hears, once it has left HTTP.
  backend.on('upgrade', (req, socket) => {
    if (req.url === '/no-upgrade') {
      socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 4\r\n\r\nnope');
      return;
    }
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: ${req.headers.upgrade}\r\nconnection: Upgrade\r\nx-path: ${req.url}\r\n\r\n`,
    );
    socket.on('data', (chunk: Buffer) => socket.write(chunk.toString().toUpperCase()));
    socket.on('end', () => socket.end());
    socket.on('error', () => socket.destroy());
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
  await makeService();
  await makeNode();
});
afterAll(async () => {
  await server.stop();
  backend.closeAllConnections();
  backend.close();
  kubelet.close();
});

async function makeService(): Promise<void> {
  await server.request('POST', `/api/v1/namespaces/${NAMESPACE}/services`, {
    body: {
      metadata: { name: 'web' },
      spec: {
        ports: [
          { name: 'main', port: 80, targetPort: port },
          { name: 'nobody', port: 81 },
        ],
      },
    },
  });
  await server.request('POST', `/apis/discovery.k8s.io/v1/namespaces/${NAMESPACE}/endpointslices`, {
    body: {
      metadata: { name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [HOST], conditions: { ready: true } }],
      ports: [{ name: 'main', port }],
    },
  });
}

/** A node whose kubelet says what it was asked. */
async function makeNode(): Promise<void> {
  const now = Date.now();
  const authority = await createAuthority('kubelet-ca', now);
  const serving = await issueCertificate(
    authority,
    { commonName: 'n', names: [HOST], usages: ['server'], notAfter: certificateEnd(now) },
    now,
  );
  kubelet = createHttpsServer({ cert: serving.certificate, key: serving.key }, (req, res) => {
    res.end(JSON.stringify({ kubelet: req.url, method: req.method }));
  });
  kubelet.listen(0, HOST);
  await once(kubelet, 'listening');
  await server.request('POST', '/api/v1/nodes', { body: { metadata: { name: 'n' } } });
  const status = {
    addresses: [{ type: 'InternalIP', address: HOST }],
    daemonEndpoints: { kubeletEndpoint: { Port: (kubelet.address() as AddressInfo).port } },
  };
  await server.request('PATCH', '/api/v1/nodes/n/status', { body: { status } });
}

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

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];
const bodyOf = (method: string) => (method === 'GET' ? {} : { body: 'foo' });

describe('the proxy of a Service', () => {
  const of = (name: string, rest: string) =>
    `/api/v1/namespaces/${NAMESPACE}/services/${name}/proxy${rest}`;

  it.each(METHODS)('passes %s on to an endpoint', async (method) => {
    const { status, body } = await server.request(method, of('web:main', '/a?b=c'), bodyOf(method));
    expect([status, body.method, body.url]).toEqual([200, method, '/a?b=c']);
    expect(body.headers['x-forwarded-uri']).toBe(of('web:main', '/a'));
  });

  it('takes the port by number, and the scheme', async () => {
    for (const name of ['web:80', 'http:web:main']) {
      expect((await server.request('GET', of(name, '/x'))).body.url).toBe('/x');
    }
    const nobody = await server.request('GET', of('web:nobody', '/'));
    expect([nobody.status, nobody.body.message]).toEqual([
      503,
      'no endpoints available for service "web"',
    ]);
    expect((await server.request('GET', of('none', '/'))).status).toBe(404);
  });

  it('brings the links of pages and redirects back through itself', async () => {
    const page = await server.request('GET', of('web:main', '/page'));
    expect(page.text).toBe(PAGE.replace('"/up/"', `"${of('web:main', '/up/')}"`));
    expect(page.headers['content-length']).toBe(String(Buffer.byteLength(page.text)));
    const { headers } = await server.request('GET', of('web:main', '/move'));
    expect(headers.location).toBe(of('web:main', '/moved?a=b'));
  });
});

describe('the proxy of a node', () => {
  it.each(METHODS)('passes %s on to its kubelet', async (method) => {
    const { body } = await server.request(
      method,
      '/api/v1/nodes/n/proxy/metrics?x=y',
      bodyOf(method),
    );
    expect(body).toEqual({ kubelet: '/metrics?x=y', method });
  });

  it('reaches another port of it without TLS', async () => {
    const { body } = await server.request('GET', `/api/v1/nodes/n:${port}/proxy/other`);
    expect(body.url).toBe('/other');
  });
});

describe('an upgrade', () => {
  const upgrade = (place: string) =>
    new Promise<{ answer: IncomingMessage; socket?: Duplex }>((resolve, reject) => {
      const headers = { connection: 'Upgrade', upgrade: 'shout', authorization: 'Bearer secret' };
      const asked = request(`${server.url}${place}`, { ...server.tls, headers });
      asked.on('upgrade', (answer, socket) => resolve({ answer, socket }));
      asked.on('response', (answer) => resolve({ answer }));
      asked.on('error', reject).end();
    });

  it.each([
    ['a Pod', () => path(`${POD}:web`, '/talk')],
    ['a Service', () => `/api/v1/namespaces/${NAMESPACE}/services/web:main/proxy/talk`],
    ['a node', () => `/api/v1/nodes/n:${port}/proxy/talk`],
  ])('goes through the proxy of %s, both ways', async (_name, place) => {
    const { answer, socket } = await upgrade(place());
    expect([answer.statusCode, answer.headers['x-path']]).toEqual([101, '/talk']);
    socket?.write('hello');
    const [heard] = await once(socket as Duplex, 'data');
    expect(heard.toString()).toBe('HELLO');
    socket?.destroy();
  });

  it('that the back end refuses is refused in its words', async () => {
    const { answer, socket } = await upgrade(path(`${POD}:web`, '/no-upgrade'));
    expect([answer.statusCode, socket]).toEqual([403, undefined]);
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toBe('nope');
  });
});
