import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { freePort } from '../../test/support/free-port.ts';
import {
  certificateEnd,
  createAuthority,
  issueCertificate,
  type KeyAndCertificate,
} from '../pki/ca.ts';
import { serveComponent } from './component-server.ts';
import type { HealthCheck } from './health.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'k8ts-component-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const file = (name: string) => join(directory, name);

/** As a whole: nobody reads half of it. */
function write(name: string, text: string): void {
  writeFileSync(file(`.${name}`), text);
  renameSync(file(`.${name}`), file(name));
}

/** Of the last answer. */
let body = '';

function get(port: number, path: string, who?: KeyAndCertificate): Promise<number> {
  return new Promise((resolve, reject) => {
    body = '';
    const tls = who ? { cert: who.certificate, key: who.key } : {};
    const options = { port, path, agent: false, rejectUnauthorized: false, ...tls };
    request({ host: '127.0.0.1', ...options }, (res) => {
      res.setEncoding('utf8').on('data', (part) => {
        body += part;
      });
      res.on('end', () => resolve(res.statusCode ?? 0));
    })
      .on('error', reject)
      .end();
  });
}

it('serveComponent believes the clients of the authority that its file holds now, keeps what it cannot read, and tells of its health', async () => {
  const now = Date.now();
  const authorities = await Promise.all(['a', 'b'].map((name) => createAuthority(name, now)));
  const clients = await Promise.all(
    authorities.map((authority) =>
      issueCertificate(
        authority,
        { commonName: 'x', usages: ['client'], notAfter: certificateEnd(now) },
        now,
      ),
    ),
  );
  const [first, second] = authorities;
  write('ca.crt', first?.certificate ?? '');
  const port = await freePort();
  const stop = new AbortController();
  const errors: unknown[] = [];
  const options = {
    ...{ host: '127.0.0.1', port, clientCaFile: file('ca.crt') },
    onError: (err: unknown) => void errors.push(err),
  };
  const good = { name: 'good', check: () => {} };
  const bad = { name: 'bad', check: () => Promise.reject(new Error('not well')) };
  const checks: HealthCheck[] = [good];
  const answers = { checks: () => [...checks], metrics: async () => 'm 1\n' };
  const serving = serveComponent(options, answers, stop.signal);
  await expect.poll(() => get(port, '/healthz/good').catch(() => 0)).toBe(200);
  expect(await get(port, '/metrics', clients[0])).toBe(200);
  expect(await get(port, '/metrics', clients[1])).toBe(401);
  write('ca.crt', second?.certificate ?? '');
  await expect.poll(() => get(port, '/metrics', clients[1])).toBe(200);
  expect(await get(port, '/metrics', clients[0])).toBe(401);
  write('ca.crt', 'nonsense');
  await expect.poll(() => errors.length).toBeGreaterThan(0);
  expect(await get(port, '/metrics', clients[1])).toBe(200);
  expect(await get(port, '/readyz')).toBe(200);
  expect(await get(port, '/readyz/bad')).toBe(404);
  // Of a controller that has begun since.
  checks.push(bad);
  expect(await get(port, '/readyz/bad')).toBe(500);
  expect(await get(port, '/readyz')).toBe(500);
  expect(await get(port, '/metrics/slis')).toBe(401);
  expect(await get(port, '/metrics/slis', clients[1])).toBe(200);
  expect(body).toContain('kubernetes_healthcheck{name="bad",type="readyz"} 0');
  expect(body).toContain('kubernetes_healthcheck{name="good",type="readyz"} 1');
  stop.abort();
  await serving;
});
