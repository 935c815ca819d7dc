import { request } from 'node:https';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';

let server: TestApiServer;
beforeAll(async () => {
  server = await startApiServer();
  await server.request('POST', '/api/v1/namespaces', { body: { metadata: { name: 'big' } } });
});
afterAll(() => server.stop());

describe('a large answer', () => {
  const big = '/api/v1/namespaces/big/configmaps';
  const accept = { 'accept-encoding': 'deflate, gzip;q=0.8' };

  /** Status, headers and the body as it came. */
  const raw = async (path: string, headers: Record<string, string>) => {
    const answer = await fetchRaw(path, headers);
    return { ...answer, text: answer.body.toString() };
  };
  const fetchRaw = (path: string, headers: Record<string, string>) =>
    new Promise<{ encoding: unknown; vary: unknown; body: Buffer }>((resolve, reject) => {
      const asked = request(`${server.url}${path}`, { ...server.tls, headers }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () => {
          const { 'content-encoding': encoding, vary } = answer.headers;
          resolve({ encoding, vary, body: Buffer.concat(chunks) });
        });
      });
      asked.on('error', reject).end();
    });
  it('is compressed for those who accept it, above 128 KiB', async () => {
    const data = { text: 'x'.repeat(20_000) };
    for (let i = 0; i < 10; i++) {
      await server.request('POST', big, { body: { metadata: { name: `big-${i}` }, data } });
    }
    const plain = await raw(big, {});
    expect(plain.encoding).toBeUndefined();
    const small = await raw(big, accept);
    expect([small.encoding, small.vary]).toEqual(['gzip', 'Accept-Encoding']);
    expect(gunzipSync(small.body).toString()).toBe(plain.text);
    expect(small.body.length).toBeLessThan(20_000);
    expect((await raw(`${big}/big-0`, accept)).encoding).toBeUndefined();
    expect((await raw(big, { 'accept-encoding': 'gzip;q=0' })).encoding).toBeUndefined();
  });

  it('of one object, or as YAML, too', async () => {
    const body = { metadata: { name: 'one' }, data: { text: 'y'.repeat(200_000) } };
    await server.request('POST', big, { body });
    for (const more of [{}, { accept: 'application/yaml' }]) {
      const plain = await raw(`${big}/one`, more);
      const small = await raw(`${big}/one`, { ...accept, ...more });
      expect(small.encoding).toBe('gzip');
      expect(gunzipSync(small.body).toString()).toBe(plain.text);
    }
  });
});
