import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readCertificate } from '../pki/certificate.ts';
import { certificateSpecs, ensureAuthorities, ensureCertificates } from './certificates.ts';
import { type Paths, pathsUnder } from './paths.ts';
import { DEFAULT_SETTINGS, firstServiceIp } from './settings.ts';

const NOW = Date.UTC(2026, 0, 1);
const DAY_MS = 24 * 3600 * 1000;
const settings = { ...DEFAULT_SETTINGS, nodeName: 'node-1', nodeIp: '192.168.0.9' };

describe('firstServiceIp', () => {
  it.each([
    ['10.96.0.0/16', '10.96.0.1'],
    ['10.96.0.0/12', '10.96.0.1'],
    ['172.30.5.128/25', '172.30.5.129'],
  ])('of %s is %s', (cidr, expected) => expect(firstServiceIp(cidr)).toBe(expected));
});

describe('ensureCertificates', () => {
  let root: string;
  let paths: Paths;
  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'k8ts-pki-'));
    paths = pathsUnder(root);
    await ensureAuthorities(paths.pki, NOW);
  });
  afterEach(() => rmSync(root, { recursive: true }));
  const ensure = (now: number, changed = settings) =>
    ensureCertificates(certificateSpecs(paths, changed), paths.pki, now);
  const facts = (file: string) => readCertificate(readFileSync(join(paths.pki, file), 'utf8'));

  it("gives the API server every name that it is called by, and kubeadm's files", async () => {
    expect(await ensure(NOW)).toHaveLength(4);
    expect([...facts('apiserver.crt').names].sort()).toEqual([
      '10.96.0.1',
      '127.0.0.1',
      '192.168.0.9',
      'kubernetes',
      'kubernetes.default',
      'kubernetes.default.svc',
      'kubernetes.default.svc.cluster.local',
      'localhost',
      'node-1',
    ]);
    expect(facts('front-proxy-client.crt').issuer).toBe('front-proxy-ca');
    expect(facts('apiserver-kubelet-client.crt')).toMatchObject({
      commonName: 'kube-apiserver-kubelet-client',
      organizations: [],
    });
    for (const key of ['ca.key', 'apiserver.key', 'sa.key']) {
      expect(statSync(join(paths.pki, key)).mode & 0o777).toBe(0o600);
    }
  });

  it('issues nothing again until two months before the end', async () => {
    await ensure(NOW);
    expect(await ensure(NOW + 300 * DAY_MS)).toEqual([]);
    expect(await ensure(NOW + 306 * DAY_MS)).toHaveLength(4);
    expect(await ensure(NOW + 306 * DAY_MS)).toEqual([]);
  });

  it('issues again what misses a name that is now asked for', async () => {
    await ensure(NOW);
    const moved = { ...settings, nodeIp: '192.168.0.10' };
    expect(await ensure(NOW, moved)).toEqual([
      join(paths.pki, 'apiserver'),
      join(paths.kubelet, 'pki/kubelet'),
    ]);
  });

  it('never replaces an authority or the service account keys', async () => {
    const before = ['ca.crt', 'ca.key', 'sa.key'].map((f) =>
      readFileSync(join(paths.pki, f), 'utf8'),
    );
    await ensureAuthorities(paths.pki, NOW + 4000 * DAY_MS);
    const after = ['ca.crt', 'ca.key', 'sa.key'].map((f) =>
      readFileSync(join(paths.pki, f), 'utf8'),
    );
    expect(after).toEqual(before);
  });
});
