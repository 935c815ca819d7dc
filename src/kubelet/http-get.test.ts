import { once } from 'node:events';
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createConnectionServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { httpGet, PlainAnswerError } from './http-get.ts';

describe('httpGet', () => {
  let server: Server;
  let port = 0;
  beforeAll(async () => {
    const redirect = (response: ServerResponse, location: string) =>
      response.writeHead(302, { location }).end();
    const echo: RequestListener = ({ url, headers }, response) =>
      response.end(JSON.stringify({ url, headers }));
    const routes: Record<string, RequestListener> = {
      '/hang': () => {},
      '/large': (_request, response) => response.end('x'.repeat(100_000)),
      '/here': (_request, response) => redirect(response, '/there'),
      '/here-in-full': (_request, response) => redirect(response, `http://127.0.0.1:${port}/there`),
      '/away': (_request, response) =>
        response.writeHead(302, { location: 'http://example.test/' }).end('gone'),
      '/unmodified': (_request, response) => response.writeHead(304, { location: '/there' }).end(),
      '/nowhere': (_request, response) => response.writeHead(302).end(),
      '/hops': ({ url }, response) => {
        const left = Number(url?.split('?')[1]);
        if (left === 0) response.end('arrived');
        else redirect(response, `/hops?${left - 1}`);
      },
      '/bad': (_request, response) => response.writeHead(500).end(),
    };
    server = createServer((request, response) =>
      (routes[request.url?.split('?')[0] ?? ''] ?? echo)(request, response),
    ).listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  const get = (
    path: string,
    more: Partial<Parameters<typeof httpGet>[0]> = {},
    signal?: AbortSignal,
  ) =>
    httpGet(
      {
        scheme: 'http',
        host: '127.0.0.1',
        port,
        path,
        headers: [],
        userAgent: 'probe',
        timeoutMs: 30_000,
        ...more,
      },
      signal,
    );

  it('sends its headers, of which the caller may replace or drop some', async () => {
    const headers = [
      { name: 'X-Own', value: 'a' },
      { name: 'Host', value: 'name.test' },
      { name: 'Accept', value: '' },
    ];
    const { status, body } = await get('/', { headers });
    expect(status).toBe(200);
    const sent = JSON.parse(body).headers;
    expect(sent).toMatchObject({ 'x-own': 'a', host: 'name.test', 'user-agent': 'probe' });
    expect(sent).not.toHaveProperty('accept');
  });

  it('says a header that shall be empty, and its own name where the one to say is empty', async () => {
    const headers = [
      { name: 'X-Empty', value: '' },
      { name: 'Host', value: '' },
      { name: 'User-Agent', value: '' },
      { name: 'Content-Length', value: '7' },
      { name: 'X-Twice', value: 'a' },
      { name: 'X-Twice', value: 'ü' },
    ];
    const sent = JSON.parse((await get('/', { headers })).body).headers;
    expect(sent).toEqual({
      'x-empty': '',
      'x-twice': `a, ${Buffer.from('ü').toString('latin1')}`,
      host: `127.0.0.1:${port}`,
      accept: '*/*',
      connection: 'close',
    });
  });

  it('lets neither a path nor a header say more than that', async () => {
    const { body } = await get('a b\r\nX: y?c=<d>&e=%20#f');
    expect(JSON.parse(body).url).toBe('/a%20b%0D%0AX:%20y?c=%3Cd%3E&e=%20');
    const headers = [{ name: 'X-Own', value: 'a\r\nX-More: b' }];
    await expect(get('/', { headers })).rejects.toThrow('invalid header field value for "X-Own"');
    const names = [{ name: 'X-Own: a\r\nX-More', value: 'b' }];
    await expect(get('/', { headers: names })).rejects.toThrow('invalid header field name');
  });

  it('answers any status, and no more than 10 KiB of the body', async () => {
    expect((await get('/bad')).status).toBe(500);
    expect((await get('/large')).body).toHaveLength(10 * 1024);
  });

  it('follows a redirect on the same host only', async () => {
    const headers = [{ name: 'Host', value: 'name.test' }];
    const { url, headers: sent } = JSON.parse((await get('/here', { headers })).body);
    expect([url, sent.host]).toEqual(['/there', 'name.test']);
    const whole = JSON.parse((await get('/here-in-full', { headers })).body);
    expect(whole.headers.host).toBe(`127.0.0.1:${port}`);
    expect(await get('/away')).toEqual({ status: 302, body: 'gone' });
  });

  it('follows as many redirects as there are requests left of ten', async () => {
    expect((await get('/hops?9')).body).toBe('arrived');
    await expect(get('/hops?10')).rejects.toThrow('stopped after 10 redirects');
  });

  it('takes for a redirect only what is one', async () => {
    expect((await get('/unmodified')).status).toBe(304);
    expect((await get('/nowhere')).status).toBe(302);
  });

  it('fails when its time is over', async () => {
    await expect(get('/hang', { timeoutMs: 50 })).rejects.toThrow(
      `Get "http://127.0.0.1:${port}/hang": context deadline exceeded`,
    );
  });

  it('says that who was asked by HTTPS does not speak it', async () => {
    await expect(get('/', { scheme: 'https' })).rejects.toThrow(PlainAnswerError);
  });

  it('tells a connection that ended without an answer', async () => {
    const mute = createConnectionServer((socket) => socket.end()).listen(0, '127.0.0.1');
    await once(mute, 'listening');
    const at = (mute.address() as AddressInfo).port;
    await expect(get('/', { port: at })).rejects.toThrow('EOF');
    mute.close();
  });

  it('ends when it is aborted', async () => {
    const stop = new AbortController();
    const asked = get('/hang', {}, stop.signal);
    stop.abort(new Error('stopped'));
    await expect(asked).rejects.toThrow('stopped');
  });
});
