import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { BUSYBOX_IMAGE, shellPod } from '../support/manifests.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const namespace = testNamespace(cluster, 'kubectl-tools');
const directory = mkdtempSync(join(tmpdir(), 'k8ts-kubectl-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const file = (name: string, content: string | object): string => {
  const path = join(directory, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};
const configMap = (data: object, name = 'settings') => ({
  ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data },
});

describe('kubectl', () => {
  beforeAll(async () => {
    await namespace.apply(shellPod('box', 'sleep 600'));
    await namespace.kubectl('wait', '--for=condition=Ready', 'pod/box', '--timeout=120s');
  });

  it('diff shows what would change, and changes nothing', async () => {
    await namespace.apply(configMap({ a: 'old' }));
    const wanted = file('wanted.json', configMap({ a: 'new' }));
    const args = ['-n', namespace.name, 'diff', '-f', wanted];
    const { stdout } = await cluster.tryKubectl(args, { acceptExitCodes: [1] });
    expect(stdout).toMatch(/^- {2}a: old$/m);
    expect(stdout).toMatch(/^\+ {2}a: new$/m);
    expect((await namespace.get('cm/settings')).data).toEqual({ a: 'old' });
  });

  it('replace --force makes the object anew', async () => {
    const before = await namespace.get('cm/settings');
    const wanted = file('forced.json', configMap({ a: 'forced' }));
    await namespace.kubectl('replace', '--force', '-f', wanted);
    const after = await namespace.get('cm/settings');
    expect(after.data).toEqual({ a: 'forced' });
    expect(after.metadata.uid).not.toBe(before.metadata.uid);
  });

  it('apply -k builds a kustomization', async () => {
    file('base.json', configMap({ from: 'base' }, 'built'));
    file('kustomization.yaml', 'resources: [base.json]\nnamePrefix: my-\n');
    await namespace.kubectl('apply', '-k', directory);
    expect((await namespace.get('cm/my-built')).data).toEqual({ from: 'base' });
  });

  it('cp copies files both ways', async () => {
    const there = `${namespace.name}/box:/tmp/there`;
    await cluster.kubectl('cp', file('here', 'content'), there);
    const back = join(directory, 'back');
    await cluster.kubectl('cp', there, back);
    expect(readFileSync(back, 'utf8')).toBe('content');
  });

  it('debug adds a container to a running Pod', async () => {
    const args = ['debug', 'box', `--image=${BUSYBOX_IMAGE}`, '-c', 'look', '--profile=general'];
    await namespace.kubectl(...args, '--', 'sh', '-c', 'echo seen');
    const ended =
      '--for=jsonpath={.status.ephemeralContainerStatuses[0].state.terminated.exitCode}=0';
    await namespace.kubectl('wait', ended, 'pod/box', '--timeout=120s');
    expect(await namespace.kubectl('logs', 'box', '-c', 'look')).toBe('seen\n');
  });

  it('auth can-i knows what an account may do, and create token makes it somebody', async () => {
    const account = `system:serviceaccount:${namespace.name}:default`;
    const may = (...args: string[]) =>
      cluster.tryKubectl(['-n', namespace.name, 'auth', 'can-i', ...args, '--as', account], {
        acceptExitCodes: [0, 1],
      });
    expect((await may('list', 'pods')).stdout).toBe('no\n');
    await namespace.kubectl(
      ...['create', 'rolebinding', 'view', '--clusterrole=view'],
      `--serviceaccount=${namespace.name}:default`,
    );
    expect((await may('list', 'pods')).stdout).toBe('yes\n');
    expect((await may('--list')).stdout).toMatch(/^pods +.*\[get list watch\]$/m);
    const token = (await namespace.kubectl('create', 'token', 'default')).trim();
    const claims = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
    expect(JSON.parse(claims).sub).toBe(account);
  });

  it('events, explain of every depth, and tables of everything', async () => {
    await eventually('the event', async () =>
      (await namespace.kubectl('events', '--for', 'pod/box')).includes('Scheduled'),
    );
    const explained = await cluster.kubectl('explain', '--recursive', 'deployment');
    expect(explained).toContain('topologySpreadConstraints');
    const all = await namespace.kubectl('get', 'all,cm,sa,rolebindings', '-o', 'wide');
    expect(all).toContain('rolebinding.rbac.authorization.k8s.io/view');
  });

  it('taint, cordon, drain and label a node', async () => {
    const name = 'made-up';
    await cluster.apply({ apiVersion: 'v1', kind: 'Node', metadata: { name } });
    const node = () => cluster.get('node', name);
    try {
      await cluster.kubectl('taint', 'nodes', name, 'team=blue:NoSchedule');
      const taint = { key: 'team', value: 'blue', effect: 'NoSchedule' };
      expect((await node()).spec.taints).toContainEqual(taint);
      await cluster.kubectl('taint', 'nodes', name, 'team-');
      expect((await node()).spec.taints ?? []).not.toContainEqual(taint);
      await cluster.kubectl('cordon', name);
      expect((await node()).spec.unschedulable).toBe(true);
      await cluster.kubectl('uncordon', name);
      expect((await node()).spec.unschedulable).toBeUndefined();
      const drained = await cluster.kubectl('drain', name, '--ignore-daemonsets');
      expect(drained).toContain(`node/${name} drained`);
      await cluster.kubectl('label', 'node', name, 'team=blue');
      expect(await cluster.kubectl('get', 'nodes', '-l', 'team=blue', '-o', 'name')).toBe(
        `node/${name}\n`,
      );
    } finally {
      await cluster.kubectl('delete', 'node', name);
    }
  });
});
