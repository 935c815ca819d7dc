import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { accessOf, loadKubeconfig } from './kubeconfig.ts';

const YAML = `
apiVersion: v1
kind: Config
current-context: one
clusters:
- name: c
  cluster: {server: 'https://10.0.0.1:6443/', certificate-authority: ca.crt}
users:
- name: u
  user:
    client-certificate-data: ${Buffer.from('CERT').toString('base64')}
    client-key: /keys/u.key
- name: t
  user: {token: abc}
contexts:
- name: one
  context: {cluster: c, user: u, namespace: work}
- name: two
  context: {cluster: c, user: t}
`;

describe('loadKubeconfig', () => {
  it('reads the current context of a YAML file, and files relative to it', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'k8ts-'));
    try {
      const path = join(directory, 'config');
      await writeFile(path, YAML);
      expect(await loadKubeconfig(path)).toEqual({
        server: 'https://10.0.0.1:6443',
        ca: { file: join(directory, 'ca.crt') },
        certificate: { data: 'CERT' },
        key: { file: '/keys/u.key' },
        namespace: 'work',
      });
      expect(await loadKubeconfig(path, 'two')).toMatchObject({ token: { data: 'abc' } });
      await expect(loadKubeconfig(path, 'three')).rejects.toThrow('no context named "three"');
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe('accessOf', () => {
  it('refuses credentials that it does not know, by name', () => {
    const config = {
      'current-context': 'x',
      contexts: [{ name: 'x', context: { cluster: 'x', user: 'x' } }],
      clusters: [{ name: 'x', cluster: { server: 'https://x' } }],
      users: [{ name: 'x', user: { exec: {} } }],
    };
    expect(() => accessOf(config, '/')).toThrow('user.exec is not supported');
  });
});
