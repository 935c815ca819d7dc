import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Cluster, createCluster, NODE_NAME } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { list, service, shellPod } from '../support/manifests.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await createCluster();
  const disabled = ['dns', 'metrics-server', 'service-lb', 'network-policy'];
  await cluster.up('--network', 'none', '--disable', ...disabled);
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
  await eventually('the node is Ready', async () => (await readiness()).status === 'True');
  await cluster.apply(shellPod('placed', 'sleep 1000'));
  await cluster.kubectl('wait', '--for=condition=Ready', 'pod/placed', '--timeout=120s');
  const { status } = await cluster.get('pod', 'placed');
  expect(status.podIP).toMatch(/^10\.250\.0\./);
});

it('k8ts up --disable service-lb network-policy leaves both to others', async () => {
  const ingress = [{ ip: '203.0.113.5' }];
  const policy = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'nobody' },
    spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'] },
  };
  const spec = { type: 'LoadBalancer', selector: { app: 'placed' } };
  await cluster.apply(list(policy, service('cloudy', spec)));
  await eventually('the Service has endpoints', async () => {
    const { items } = await cluster.get(
      ...['endpointslices', '-l', 'kubernetes.io/service-name=cloudy'],
    );
    return items[0]?.endpoints?.length === 1;
  });
  const load = async () => (await cluster.get('service', 'cloudy')).status.loadBalancer;
  expect(await load()).toEqual({});
  // What a cloud's controller does.
  const patch = JSON.stringify({ status: { loadBalancer: { ingress } } });
  await cluster.kubectl(
    ...['patch', 'service', 'cloudy', '--subresource=status', '--type=merge', '-p', patch],
  );
  await eventually('it is routed', async () =>
    (await cluster.network.run('iptables-save', ['-t', 'nat'])).stdout.includes('203.0.113.5/32'),
  );
  expect(await load()).toMatchObject({ ingress });
  expect((await cluster.network.run('iptables-save', ['-t', 'mangle'])).stdout).not.toMatch(
    /K8TS-NP/,
  );
});
