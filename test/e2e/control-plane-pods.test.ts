import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, createCluster, NODE_NAME } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { list, service, webDeployment } from '../support/manifests.ts';

const CONTROL_PLANE = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'];

let cluster: Cluster;
beforeAll(async () => {
  cluster = await createCluster();
  await cluster.up('--static-pods');
});
afterAll(() => cluster.remove());

interface Running {
  metadata: { labels: Record<string, string> };
  status: { containerStatuses: { containerID: string }[] };
}

const podNames = async (): Promise<string[]> => {
  const { items } = await cluster.get('pods', '-n', 'kube-system');
  return items.map(({ metadata }: { metadata: { name: string } }) => metadata.name);
};

describe('k8ts up --static-pods', () => {
  it('runs the control plane in Pods that kubectl shows, and only what runs Pods as processes', async () => {
    const names: string[] = await eventually(
      'all Pods of kube-system are Running and ready',
      async () => {
        const text = await cluster.kubectl('get', 'pods', '-n', 'kube-system', '--no-headers');
        const lines = text.trim().split('\n');
        const done = lines.every((line) => / +1\/1 +Running /.test(line));
        if (!done || lines.length < 7) throw new Error(text);
        return lines.map((line) => line.split(' ')[0] ?? '');
      },
      120_000,
    );
    for (const name of CONTROL_PLANE) expect(names).toContain(`${name}-${NODE_NAME}`);
    expect(names.some((name) => name.startsWith('kube-proxy-'))).toBe(true);
    expect(names.some((name) => name.startsWith('coredns-'))).toBe(true);
    const { stdout } = await cluster.k8ts('status');
    const processes = stdout.split('\n').flatMap((line) => /^(\S+) +running/.exec(line)?.[1] ?? []);
    expect(processes.sort()).toEqual(['containerd', 'kubelet']);
  });

  it('shows each as a mirror of a file, with the flags of kubeadm', async () => {
    for (const name of CONTROL_PLANE) {
      const pod = await cluster.get('pod', '-n', 'kube-system', `${name}-${NODE_NAME}`);
      expect(pod.metadata.annotations).toMatchObject({ 'kubernetes.io/config.source': 'file' });
      expect(pod.metadata.labels).toMatchObject({ component: name, tier: 'control-plane' });
      expect(pod.spec).toMatchObject({
        hostNetwork: true,
        priorityClassName: 'system-node-critical',
      });
      expect(existsSync(join(cluster.paths.staticPods, `${name}.yaml`))).toBe(true);
      expect(pod.spec.containers[0].command[0]).toBe(name);
    }
    const logs = await cluster.kubectl(
      ...['logs', '-n', 'kube-system', `kube-apiserver-${NODE_NAME}`, '--tail=1000'],
    );
    expect(logs).toContain('Serving');
  });

  it("keeps its state in etcd, whose keys are upstream's", async () => {
    const pki = join(cluster.paths.pki, 'etcd');
    const credentials = [
      ...['--cacert', join(pki, 'ca.crt')],
      ...['--cert', join(pki, 'healthcheck-client.crt')],
      ...['--key', join(pki, 'healthcheck-client.key')],
    ];
    const { stdout } = await cluster.network.run(
      'etcdctl',
      [...credentials, 'get', '--prefix', '--keys-only', '/registry/namespaces/'],
      { env: { ETCDCTL_API: '3' } },
    );
    expect(stdout).toContain('/registry/namespaces/kube-system');
  });

  it('runs workloads, whose Services the proxy in its Pod routes', async () => {
    await cluster.apply(list(webDeployment('web', 2), service('web')));
    await cluster.kubectl('rollout', 'status', 'deployment/web', '--timeout=120s');
    const { spec } = await cluster.get('service', 'web');
    const answer = await eventually('it answers', () =>
      cluster.fetch(`http://${spec.clusterIP}/`, 2),
    );
    expect(answer).toMatch(/^web-/);
  });

  it('is replaced by `k8ts upgrade`, Pod after Pod, while the Service answers', async () => {
    const runs = async (): Promise<Map<string, string>> => {
      const { items } = await cluster.get('pods', '-n', 'kube-system');
      return new Map(
        items.map(({ metadata, status }: Running) => [
          metadata.labels.component ?? metadata.labels['k8s-app'] ?? '',
          status.containerStatuses[0]?.containerID ?? '',
        ]),
      );
    };
    const before = await runs();
    const url = `http://${(await cluster.get('service', 'web')).spec.clusterIP}/`;
    const done = { upgraded: false };
    const upgrading = cluster.k8ts('upgrade', '--no-drain').finally(() => {
      done.upgraded = true;
    });
    const failed: unknown[] = [];
    while (!done.upgraded) await cluster.fetch(url, 10).catch((err) => failed.push(err));
    const { stdout } = await upgrading;
    const replaced = [...stdout.matchAll(/Replaced (\S+)/g)].map(([, name]) => name);
    expect(replaced).toEqual([...CONTROL_PLANE, 'kubelet', 'kube-proxy']);
    expect(failed).toEqual([]);
    const after = await runs();
    for (const name of [...CONTROL_PLANE, 'kube-proxy']) {
      expect(after.get(name)).toMatch(/^containerd:/);
      expect(after.get(name)).not.toBe(before.get(name));
    }
  });

  it('comes back whole after everything was stopped', async () => {
    await cluster.kubectl('create', 'configmap', 'kept');
    await cluster.k8ts('down');
    await cluster.up();
    expect(await cluster.kubectl('get', 'configmap', 'kept')).toContain('kept');
    await eventually('the control plane is there', async () => {
      const names = await podNames();
      return CONTROL_PLANE.every((name) => names.includes(`${name}-${NODE_NAME}`));
    });
  });

  it('does not let its store be changed under it', async () => {
    await expect(cluster.up('--etcd', 'none')).rejects.toThrow(/store of this cluster is stacked/);
  });
});
