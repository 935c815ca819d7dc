import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SECRETS } from '../api/resource-types.ts';
import { FakeClient } from '../client/client.fake.ts';
import { isIssuedBy } from '../pki/certificate.ts';
import { realClock } from '../util/clock.ts';
import { silent } from '../util/log.ts';
import { keepAuthorities, shareAuthorities, takeOver } from './authority-exchange.ts';
import { dropOldAuthorities, ensureIdentities, rotateAuthority } from './certificate-care.ts';
import { readPair } from './certificates.ts';
import { type Paths, pathsUnder } from './paths.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

let root: string;
let [one, two]: [Paths, Paths] = [pathsUnder('/'), pathsUnder('/')];
const settings = (nodeName: string) => ({ ...DEFAULT_SETTINGS, nodeName, nodeIp: '10.0.0.1' });
const first = settings('one');
const second = settings('two');
const now = Date.now();
const authority = ({ pki }: Paths) => readFileSync(join(pki, 'ca.crt'), 'utf8');
const count = (paths: Paths) => authority(paths).match(/BEGIN CERTIFICATE/g)?.length;

/** What the first control plane tells. */
async function told(): Promise<string> {
  const data: Record<string, string> = {};
  const client = {
    raw: async () => ({ resources: [{ name: 'secrets', kind: 'Secret', namespaced: true }] }),
    patch: async (_type: unknown, _key: unknown, { body }: { body: { data: typeof data } }) => {
      Object.assign(data, body.data);
    },
  };
  await shareAuthorities(client as never, one);
  return data.authorities ?? '';
}

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'k8ts-exchange-'));
  [one, two] = [pathsUnder(join(root, 'one')), pathsUnder(join(root, 'two'))];
  await ensureIdentities(one, first, now);
  cpSync(one.pki, two.pki, { recursive: true });
  await ensureIdentities(two, second, now);
});
afterEach(() => rmSync(root, { recursive: true }));

describe('another control plane', () => {
  it('takes a new authority over, and gives the old one up, by what the first one tells', async () => {
    await rotateAuthority(one, first, 'ca', now);
    expect(await takeOver(two, second, await told(), now)).toEqual(['ca']);
    expect(authority(two)).toBe(authority(one));
    const server = readPair(join(two.pki, 'apiserver'));
    expect(isIssuedBy(server.certificate, server.key, authority(one))).toBe(true);
    expect(await takeOver(two, second, await told(), now)).toEqual([]);
    await dropOldAuthorities(one, first, now);
    expect(await takeOver(two, second, await told(), now)).toEqual(['ca']);
    expect([count(one), count(two)]).toEqual([1, 1]);
  });

  it('goes back to nothing that was before', async () => {
    const before = await told();
    await rotateAuthority(one, first, 'ca', now);
    const both = await told();
    await dropOldAuthorities(one, first, now);
    await takeOver(two, second, both, now);
    expect(await takeOver(two, second, before, now)).toEqual([]);
    expect(await takeOver(one, first, both, now)).toEqual([]);
    expect([count(one), count(two)]).toEqual([1, 2]);
  });

  it('is told nothing by those who have another key', async () => {
    const text = await told();
    rmSync(join(two.pki, 'sa.key'));
    await ensureIdentities(two, second, now);
    await expect(takeOver(two, second, text, now)).rejects.toThrow(/certificate key does not fit/);
  });

  it('hears of it by a watch', async () => {
    const client = new FakeClient({ now: () => Date.now() });
    const stop = new AbortController();
    const deps = { client, clock: realClock, log: silent };
    const keeping = keepAuthorities(two, second, deps, stop.signal);
    await rotateAuthority(one, first, 'ca', now);
    const metadata = { namespace: 'kube-system', name: 'k8ts-authorities' };
    await client.create(SECRETS, { metadata, data: { authorities: await told() } } as never);
    await vi.waitFor(() => expect(authority(two)).toBe(authority(one)), { timeout: 30_000 });
    stop.abort();
    await keeping;
  });
});
