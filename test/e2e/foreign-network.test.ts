import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Cluster, createCluster, NODE_NAME } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { list, service, shellPod } from '../support/manifests.ts';

const LIMIT = '--timeout=120s';
let cluster: Cluster;
beforeAll(async () => {
  cluster = await createCluster();
  const disabled = ['dns', 'metrics-server', 'service-lb', 'network-policy'];
  await cluster.up('--network', 'none', '--disable', ...disabled);
});
afterAll(() => cluster.remove());

/** flannel's manifest, on images that are at hand. */
function flannel(root: string): string {
  const values: Record<string, string> = {
    CNI: join(root, 'etc/cni/net.d'),
    BIN: join(root, 'opt/cni/bin'),
    RUN: join(root, 'run/flannel'),
  };
  const file = join(import.meta.dirname, '../fixtures/flannel.yaml');
  return readFileSync(file, 'utf8').replace(/@(\w+)@/g, (whole, name) => values[name] ?? whole);
}

it("k8ts up --network none leaves Pods to flannel's manifest: its DaemonSet installs a plugin and tells it the range", async () => {
  const readiness = async () => {
    const { status } = await cluster.get('node', NODE_NAME);
    return status.conditions.find(({ type }: { type: string }) => type === 'Ready');
  };
  await eventually('the node says why it is not ready', async () => {
    expect(await readiness()).toMatchObject({
      status: 'False',
      message: expect.stringMatching(/cni/i),
    });
    return true;
  });
  await cluster.apply(flannel(cluster.paths.root));
  await eventually('the node is Ready', async () => (await readiness()).status === 'True');
  const { spec } = await cluster.get('node', NODE_NAME);
  const logs = ['logs', 'daemonset/kube-flannel-ds', '-n', 'kube-flannel'];
  await eventually('it has told the range', async () =>
    (await cluster.kubectl(...logs)).includes(`Wrote subnet file of ${NODE_NAME}: ${spec.podCIDR}`),
  );
  await cluster.apply(shellPod('placed', 'sleep 1000'));
  await cluster.kubectl('wait', '--for=condition=Ready', 'pod/placed', LIMIT);
  const { status } = await cluster.get('pod', 'placed');
  const [range = ''] = spec.podCIDR.split('.0/');
  expect(status.podIP).toContain(`${range}.`);
  const { stdout } = await cluster.network.run('ip', ['-brief', 'address', 'show', 'dev', 'cbr0']);
  expect(stdout).toContain(`${range}.1/24`);
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

it("k8ts down --purge leaves what is the network's own, and nothing else", async () => {
  await cluster.k8ts('down', '--purge');
  expect(readdirSync(join(cluster.paths.root, 'opt/cni/bin'))).toEqual(['flannel']);
  expect(readdirSync(join(cluster.paths.root, 'etc/cni/net.d'))).toEqual(['10-flannel.conflist']);
});
