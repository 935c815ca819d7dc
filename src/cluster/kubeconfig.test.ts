import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readCertificate } from '../pki/certificate.ts';
import { ensureAuthorities } from './certificates.ts';
import {
  ensureKubeconfigs,
  installUserKubeconfig,
  kubeconfigFor,
  mergeKubeconfig,
  readKubeconfig,
  removeUserKubeconfig,
  withoutCluster,
} from './kubeconfig.ts';
import { type Paths, pathsUnder } from './paths.ts';

const NOW = Date.UTC(2026, 0, 1);
const ours = kubeconfigFor('admin', 'https://127.0.0.1:6443', 'CA', { certificate: 'C', key: 'K' });
const theirs = {
  apiVersion: 'v1',
  kind: 'Config',
  preferences: { colors: true },
  clusters: [{ name: 'work', cluster: { server: 'https://work' } }],
  contexts: [{ name: 'work', context: { cluster: 'work', user: 'me' } }],
  users: [{ name: 'me', user: { token: 't' } }],
  'current-context': 'work',
};

describe('mergeKubeconfig', () => {
  it('adds our entries and leaves the others and the current context alone', () => {
    const merged = mergeKubeconfig(theirs, ours);
    expect(merged.clusters.map(({ name }) => name)).toEqual(['work', 'k8ts']);
    expect(merged.contexts.map(({ name }) => name)).toEqual(['work', 'k8ts']);
    expect(merged.users).toContainEqual(theirs.users[0]);
    expect(merged['current-context']).toBe('work');
    expect(merged.preferences).toEqual({ colors: true });
  });

  it('replaces our entries of an earlier cluster', () => {
    const newer = kubeconfigFor('admin', 'https://127.0.0.1:7443', 'CA2', {
      certificate: 'C2',
      key: 'K2',
    });
    const merged = mergeKubeconfig(mergeKubeconfig(theirs, ours), newer);
    expect(merged.clusters).toEqual([theirs.clusters[0], newer.clusters[0]]);
  });

  it('chooses our context where there is no kubeconfig', () => {
    expect(mergeKubeconfig(undefined, ours)).toEqual(ours);
  });
});

describe('withoutCluster', () => {
  it('is the inverse of the merge', () => {
    expect(withoutCluster(mergeKubeconfig(theirs, ours))).toEqual(theirs);
  });

  it('answers undefined when nothing of anybody else is left', () => {
    expect(withoutCluster(ours)).toBeUndefined();
  });
});

describe('kubeconfig files', () => {
  let root: string;
  let paths: Paths;
  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'k8ts-kubeconfig-'));
    paths = pathsUnder(root);
    await ensureAuthorities(paths.pki, NOW);
  });
  afterEach(() => rmSync(root, { recursive: true }));
  const ensure = (now: number) =>
    ensureKubeconfigs(['admin', 'kubelet'], {
      paths,
      nodeName: 'node-1',
      server: 'https://127.0.0.1:6443',
      now,
    });
  const subject = async (file: string) => {
    const config = await readKubeconfig(file);
    const user = config?.users[0]?.user as Record<string, string>;
    const held = user['client-certificate'];
    const data = Buffer.from(user['client-certificate-data'] ?? '', 'base64').toString();
    return readCertificate(held === undefined ? data : readFileSync(held, 'utf8'));
  };

  it('hold the user and groups that upstream gives, and are read by their owner only', async () => {
    expect(await ensure(NOW)).toEqual(['admin', 'kubelet']);
    const admin = paths.kubeconfig('admin');
    expect(await subject(admin)).toMatchObject({
      commonName: 'kubernetes-admin',
      organizations: ['kubeadm:cluster-admins'],
    });
    expect(await subject(paths.kubeconfig('kubelet'))).toMatchObject({
      commonName: 'system:node:node-1',
      organizations: ['system:nodes'],
    });
    expect(statSync(admin).mode & 0o777).toBe(0o600);
  });

  it('stay as they are while their certificates are good, and are renewed before they lapse', async () => {
    await ensure(NOW);
    expect(await ensure(NOW + 1000)).toEqual([]);
    expect(await ensure(NOW + 320 * 24 * 3600 * 1000)).toEqual(['admin', 'kubelet']);
  });

  it("are merged into the person's file, and taken out of it again", async () => {
    await ensure(NOW);
    const user = {
      home: join(root, 'home'),
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
    };
    const file = await installUserKubeconfig(paths, user);
    const first = readFileSync(file, 'utf8');
    expect((await readKubeconfig(file))?.['current-context']).toBe('k8ts');
    await installUserKubeconfig(paths, user);
    expect(readFileSync(file, 'utf8')).toBe(first);
    writeFileSync(file, JSON.stringify(mergeKubeconfig(theirs, ours)));
    expect(await removeUserKubeconfig(user)).toBe(file);
    expect(await readKubeconfig(file)).toEqual(theirs);
    expect(await removeUserKubeconfig(user)).toBeUndefined();
  });

  it('of a person that are no kubeconfig are not overwritten', async () => {
    await ensure(NOW);
    const file = join(root, 'broken');
    writeFileSync(file, '- a list');
    await expect(readKubeconfig(file)).rejects.toThrow('is not a kubeconfig');
  });
});
