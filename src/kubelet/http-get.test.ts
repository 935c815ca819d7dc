import { once } from 'node:events';
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { httpGet } from './http-get.ts';

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
      '/away': (_request, response) => redirect(response, 'http://example.test/'),
      '/bad': (_request, response) => response.writeHead(500).end(),
    };
    server = createServer((request, response) =>
      (routes[request.url ?? ''] ?? echo)(request, response),
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

  it('answers any status, and no more than 10 KiB of the body', async () => {
    expect((await get('/bad')).status).toBe(500);
    expect((await get('/large')).body).toHaveLength(10 * 1024);
  });

  it('follows a redirect on the same host only', async () => {
    expect(JSON.parse((await get('/here')).body).url).toBe('/there');
    expect(await get('/away')).toMatchObject({ status: 302, redirect: 'http://example.test/' });
  });

  it('fails when its time is over', async () => {
    await expect(get('/hang', { timeoutMs: 50 })).rejects.toThrow(
      `Get "http://127.0.0.1:${port}/hang": context deadline exceeded`,
    );
  });

  it('ends when it is aborted', async () => {
    const stop = new AbortController();
    const asked = get('/hang', {}, stop.signal);
    stop.abort(new Error('stopped'));
    await expect(asked).rejects.toThrow('stopped');
  });
});
