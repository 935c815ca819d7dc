import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Cluster, createCluster, NODE_NAME } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { shellPod } from '../support/manifests.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await createCluster();
  await cluster.up('--network', 'none', '--disable', 'dns', 'metrics-server');
});
afterAll(() => cluster.remove());

const conflist = {
  name: 'cbr0',
  cniVersion: '0.3.1',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cbr0',
      isDefaultGateway: true,
      hairpinMode: true,
      ipam: { type: 'host-local', subnet: '10.250.0.0/24' },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
};

/** What flannel's manifest does, on an image that is at hand: a DaemonSet whose first container installs a configuration. */
function daemonSet(directory: string): object {
  const labels = { app: 'flannel' };
  const image = 'localhost/k8ts/busybox:1';
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'kube-flannel-ds', namespace: 'kube-system', labels },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          hostNetwork: true,
          priorityClassName: 'system-node-critical',
          tolerations: [{ operator: 'Exists', effect: 'NoSchedule' }],
          initContainers: [
            {
              name: 'install-cni',
              image,
              command: [
                'cp',
                '-f',
                '/etc/kube-flannel/cni-conf.json',
                '/etc/cni/net.d/10-flannel.conflist',
              ],
              volumeMounts: [
                { name: 'cni', mountPath: '/etc/cni/net.d' },
                { name: 'flannel-cfg', mountPath: '/etc/kube-flannel/' },
              ],
            },
          ],
          containers: [{ name: 'kube-flannel', image, command: ['sleep', '100000'] }],
          volumes: [
            { name: 'cni', hostPath: { path: directory } },
            { name: 'flannel-cfg', configMap: { name: 'kube-flannel-cfg' } },
          ],
        },
      },
    },
  };
}

it('k8ts up --network none leaves Pods to a CNI plugin that a DaemonSet installs', async () => {
  const readiness = async () => {
    const { status } = await cluster.get('node', NODE_NAME);
    return status.conditions.find(({ type }: { type: string }) => type === 'Ready');
  };
  expect(await eventually('the node says why it is not ready', readiness)).toMatchObject({
    status: 'False',
    message: expect.stringMatching(/cni/i),
  });
  await cluster.apply({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'kube-flannel-cfg', namespace: 'kube-system' },
    data: { 'cni-conf.json': JSON.stringify(conflist) },
  });
  await cluster.apply(daemonSet(join(cluster.paths.root, 'etc/cni/net.d')));
  await eventually('the node is Ready', async () => (await readiness()).status === 'True', 90_000);
  await cluster.apply(shellPod('placed', 'sleep 1000'));
  await cluster.kubectl('wait', '--for=condition=Ready', 'pod/placed', '--timeout=60s');
  const { status } = await cluster.get('pod', 'placed');
  expect(status.podIP).toMatch(/^10\.250\.0\./);
});
