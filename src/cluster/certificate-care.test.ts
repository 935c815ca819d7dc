import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isIssuedBy } from '../pki/certificate.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { silent } from '../util/log.ts';
import {
  dropOldAuthorities,
  ensureIdentities,
  expirations,
  keepIdentities,
  rotateAuthority,
} from './certificate-care.ts';
import { readPair } from './certificates.ts';
import { type Paths, pathsUnder } from './paths.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

const DAY = 24 * 60 * 60 * 1000;
const settings = { ...DEFAULT_SETTINGS, nodeName: 'n', nodeIp: '10.0.0.1' };
let root: string;
let paths: Paths;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'k8ts-care-'));
  paths = pathsUnder(root);
});
afterEach(() => rmSync(root, { recursive: true }));

it('keepIdentities lets no certificate lapse in 400 days', async () => {
  const clock = new FakeClock();
  await ensureIdentities(paths, settings, clock.now());
  const first = readFileSync(join(paths.pki, 'apiserver.crt'), 'utf8');
  const stop = new AbortController();
  const keeping = keepIdentities(paths, settings, { clock, log: silent }, stop.signal);
  for (let day = 0; day < 400; day += 20) {
    await clock.advance(20 * DAY);
    // What is written on the way to the disk is awaited by looking, not by time.
    await expect
      .poll(
        async () =>
          (await expirations(paths, settings)).every(
            ({ notAfter }) => (notAfter?.getTime() ?? 0) - clock.now() > 30 * DAY,
          ),
        { timeout: 20_000 },
      )
      .toBe(true);
  }
  expect(readFileSync(join(paths.pki, 'apiserver.crt'), 'utf8')).not.toBe(first);
  stop.abort();
  await keeping;
});

it('components keep their certificates in files, readable by their owner alone', async () => {
  await ensureIdentities(paths, settings, Date.now());
  const text = readFileSync(paths.kubeconfig('scheduler'), 'utf8');
  expect(text).toContain(join(paths.pki, 'scheduler.crt'));
  expect(text).not.toContain('client-key-data');
  for (const file of ['scheduler.key', 'ca.key', 'etcd/ca.key']) {
    expect(statSync(join(paths.pki, file)).mode & 0o077).toBe(0);
  }
});

it('rotateAuthority believes both until the old one is dropped', async () => {
  const now = Date.now();
  await ensureIdentities(paths, settings, now);
  const before = readPair(join(paths.pki, 'apiserver'));
  await rotateAuthority(paths, settings, 'ca', now);
  const bundle = readFileSync(join(paths.pki, 'ca.crt'), 'utf8');
  expect(bundle.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  const after = readPair(join(paths.pki, 'apiserver'));
  expect(isIssuedBy(after.certificate, after.key, bundle)).toBe(true);
  expect(isIssuedBy(before.certificate, before.key, bundle)).toBe(false);
  expect(await dropOldAuthorities(paths, settings, now)).toEqual(['ca']);
  const left = readFileSync(join(paths.pki, 'ca.crt'), 'utf8');
  expect(left.match(/BEGIN CERTIFICATE/g)).toHaveLength(1);
});

describe('the way in that needs no binding', () => {
  const superAdmin = () => paths.kubeconfig('super-admin');

  it('is made with the first administrator, renewed, and not made again once it is put away', async () => {
    const now = Date.now();
    expect(await ensureIdentities(paths, settings, now)).toContain('super-admin.conf');
    const names = async () => (await expirations(paths, settings)).map(({ name }) => name);
    expect(await names()).toContain('super-admin.conf');
    const again = await ensureIdentities(paths, settings, now, now + 366 * DAY);
    expect(again).toContain('super-admin.conf');
    rmSync(superAdmin());
    const later = await ensureIdentities(paths, settings, now, now + 366 * DAY);
    expect(later).toContain('admin.conf');
    expect(existsSync(superAdmin())).toBe(false);
    expect(await names()).not.toContain('super-admin.conf');
  });

  it('is not made on control planes that join', async () => {
    await ensureIdentities(paths, { ...settings, nodePodCidr: '' }, Date.now());
    expect(existsSync(superAdmin())).toBe(false);
    expect(existsSync(paths.kubeconfig('admin'))).toBe(true);
  });
});

it('ensureIdentities issues everything anew when seen from the end of its life', async () => {
  const now = Date.now();
  await ensureIdentities(paths, settings, now);
  expect(await ensureIdentities(paths, settings, now)).toEqual([]);
  const again = await ensureIdentities(paths, settings, now, now + 366 * DAY);
  expect(again).toContain('apiserver');
  expect(again).toContain('admin.conf');
  expect(again).toContain('scheduler.conf');
});
