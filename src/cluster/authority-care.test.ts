import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadKubeconfig } from '../client/kubeconfig.ts';
import {
  certificateEnd,
  createAuthority,
  crossCertificate,
  issueCertificate,
  type KeyAndCertificate,
} from '../pki/ca.ts';
import { learnAuthority, nameAuthorityFile } from './authority-care.ts';
import { bootstrapKubeconfig } from './component-flags.ts';
import { pathsUnder } from './paths.ts';

let old: KeyAndCertificate;
let fresh: KeyAndCertificate;
let foreign: KeyAndCertificate;
let directory: string;
let file: string;
let server: Server;
/** What the cluster information says, as the watch tells it. */
let told = '';

beforeAll(async () => {
  const make = () => createAuthority('kubernetes', Date.now());
  [old, fresh, foreign] = [await make(), await make(), await make()];
});
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'k8ts-authority-'));
  file = join(directory, 'ca.crt');
  writeFileSync(file, old.certificate);
  server = createServer(await served(old), (req, res) => {
    expect(req.headers.authorization).toBeUndefined();
    // Whatever it says: strangers may be refused.
    res.writeHead(401, { 'content-type': 'application/json' });
    res.end(
      JSON.stringify({ kind: 'Status', status: 'Failure', reason: 'Unauthorized', code: 401 }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  server.close();
  rmSync(directory, { recursive: true });
});

async function served(authority: KeyAndCertificate) {
  const now = Date.now();
  const wish = { commonName: 'kube-apiserver', names: ['127.0.0.1'], usages: ['server' as const] };
  const made = await issueCertificate(authority, { ...wish, notAfter: certificateEnd(now) }, now);
  return { cert: made.certificate, key: made.key };
}

const learn = () =>
  learnAuthority(file, `https://127.0.0.1:${(server.address() as AddressInfo).port}`, told);
const believed = () => readFileSync(file, 'utf8');

describe('learnAuthority', () => {
  it('learns a new authority beside the old one, then instead of it', async () => {
    told = old.certificate;
    expect(await learn()).toBe(false);
    // The server has a certificate of the new one already; the old one vouches for that.
    const { cert, key } = await served(fresh);
    const cross = await crossCertificate(old, fresh, Date.now());
    const ca = fresh.certificate + old.certificate;
    server.setSecureContext({ cert: cert + cross, key, ca });
    told = ca;
    expect(await learn()).toBe(true);
    expect(believed()).toBe(told);
    told = fresh.certificate;
    expect(await learn()).toBe(true);
    expect(believed()).toBe(fresh.certificate);
    expect(await learn()).toBe(false);
  });

  it('takes no authorities that do not vouch for who tells them', async () => {
    told = foreign.certificate;
    await expect(learn()).rejects.toThrow();
    told = '';
    expect(await learn()).toBe(false);
    expect(believed()).toBe(old.certificate);
  });
});

describe('nameAuthorityFile', () => {
  it('makes kubeconfigs of nodes that joined long ago name the file', async () => {
    const paths = pathsUnder(directory);
    const data = Buffer.from(old.certificate).toString('base64');
    const config = {
      clusters: [
        { name: 'k8ts', cluster: { server: 'https://x', 'certificate-authority-data': data } },
      ],
      users: [{ name: 'k8ts', user: { token: 't' } }],
      contexts: [{ name: 'k8ts', context: { cluster: 'k8ts', user: 'k8ts' } }],
      'current-context': 'k8ts',
    };
    mkdirSync(paths.config, { recursive: true });
    for (const name of [bootstrapKubeconfig(paths), paths.kubeconfig('proxy')]) {
      writeFileSync(name, JSON.stringify(config));
    }
    nameAuthorityFile(paths);
    const access = await loadKubeconfig(paths.kubeconfig('proxy'));
    expect(access.ca).toEqual({ file: join(paths.pki, 'ca.crt') });
    expect(access).toMatchObject({ server: 'https://x', token: { data: 't' } });
  });
});
