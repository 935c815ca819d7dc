import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HttpError } from './http-error.ts';
import { systemLogs } from './system-logs.ts';
import type { Target } from './target.ts';

const top = mkdtempSync(join(tmpdir(), 'system-logs-'));
const logs = join(top, 'log');
const config = { enableSystemLogHandler: true };
const target = { options: { config }, dirs: { systemLogs: logs } } as unknown as Target;
const server = createServer(async (req, res) => {
  const url = new URL(req.url ?? '/', 'https://kubelet');
  const parts = url.pathname.split('/').filter((part) => part !== '');
  const request = { req, res, url, parts: parts.slice(1).map(decodeURIComponent) };
  try {
    await systemLogs({ ...request, signal: new AbortController().signal }, target);
  } catch (err) {
    res.writeHead(err instanceof HttpError ? err.code : 500).end((err as Error).message);
  }
});
let base = '';

beforeAll(async () => {
  mkdirSync(join(logs, 'pods', 'a:b'), { recursive: true });
  writeFileSync(join(logs, 'own.log'), 'one\ntwo\n');
  writeFileSync(join(logs, 'empty.log'), '');
  writeFileSync(join(logs, '100% <odd>.bin'), Buffer.of(1, 0, 2));
  writeFileSync(join(logs, 'pods', 'x.log'), 'x');
  writeFileSync(join(top, 'secret'), 'secret');
  symlinkSync('pods/x.log', join(logs, 'link.log'));
  symlinkSync(join(top, 'secret'), join(logs, 'out.log'));
  symlinkSync(top, join(logs, 'out'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(top, { recursive: true });
});

const get = async (path: string, options: RequestInit = {}) => {
  const response = await fetch(base + path, { redirect: 'manual', ...options });
  return { status: response.status, headers: response.headers, body: await response.text() };
};

describe('systemLogs', () => {
  it('lists a directory as links to what is in it', async () => {
    const { status, headers, body } = await get('/logs/');
    expect([status, headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect(body).toContain('<a href="100%25%20%3Codd%3E.bin">100% &lt;odd&gt;.bin</a>\n');
    expect(body).toContain('<a href="own.log">own.log</a>\n<a href="pods/">pods/</a>\n');
    expect((await get('/logs/pods/')).body).toContain('<a href="./a:b/">a:b/</a>');
  });

  it('shows a file as what it is', async () => {
    const { status, headers, body } = await get('/logs/own.log');
    expect([status, body]).toEqual([200, 'one\ntwo\n']);
    expect(headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(headers.get('last-modified')).toMatch(/GMT$/);
    const binary = await get(`/logs/${encodeURIComponent('100% <odd>.bin')}`);
    expect(binary.headers.get('content-type')).toBe('application/octet-stream');
    expect(await get('/logs/empty.log')).toMatchObject({ status: 200, body: '' });
    const head = await get('/logs/own.log', { method: 'HEAD' });
    expect([head.headers.get('content-length'), head.body]).toEqual(['8', '']);
  });

  it.each([
    ['/logs', 'logs/'],
    ['/logs/pods?x=1', 'pods/?x=1'],
    ['/logs/own.log/', '../own.log'],
  ])('leads from %s to %s', async (path, location) => {
    const { status, headers } = await get(path);
    expect([status, headers.get('location')]).toEqual([301, location]);
  });

  it('follows links of the file system, but not out of the directory', async () => {
    expect((await get('/logs/link.log')).body).toBe('x');
    expect((await get('/logs/out.log')).status).toBe(403);
    expect((await get('/logs/out/secret')).status).toBe(403);
    expect((await get('/logs/..%2Fsecret')).status).toBe(403);
    expect((await get('/logs/pods/..%2F..%2F..%2Fetc%2Fpasswd')).status).not.toBe(200);
  });

  it('refuses what there is not and what is not for reading', async () => {
    expect((await get('/logs/none')).status).toBe(404);
    expect((await get('/logs/own.log/none')).status).toBe(404);
    expect((await get('/logs/own.log', { method: 'POST' })).status).toBe(405);
  });

  it('can be switched off', async () => {
    config.enableSystemLogHandler = false;
    const answer = await get('/logs/');
    config.enableSystemLogHandler = true;
    expect(answer).toMatchObject({ status: 405, body: 'logs endpoint is disabled.' });
  });
});
