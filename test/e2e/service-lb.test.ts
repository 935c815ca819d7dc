import { beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { list, service, shellPod, webPod } from '../support/manifests.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'service-lb');
const PORT = 8088;

function balanced(name: string, spec: object = {}) {
  const ports = [{ port: PORT, targetPort: 8080 }];
  return service(name, { type: 'LoadBalancer', selector: { app: 'web' }, ports, ...spec });
}

describe('a Service of type LoadBalancer', () => {
  beforeAll(async () => {
    await ns.apply(list(webPod('web'), shellPod('client', 'sleep 3600')));
    await ns.kubectl('wait', '--for=condition=Ready', 'pod/web', 'pod/client', '--timeout=120s');
  });
  const ips = async (name: string): Promise<string[]> =>
    ((await ns.get('service', name)).status.loadBalancer.ingress ?? []).map(
      ({ ip }: { ip: string }) => ip,
    );

  it("answers at the node's address on its own port, with no node port; the next waits for the port", async () => {
    const { address } = cluster.network;
    await ns.apply(balanced('web', { allocateLoadBalancerNodePorts: false }));
    await eventually('an address', async () => (await ips('web')).join() === address);
    const url = `http://${address}:${PORT}/`;
    expect(await eventually('the node gets an answer', () => cluster.fetch(url, 1))).toBe('web');
    const wget = ['timeout', '3', 'wget', '-q', '-O', '-', url];
    const fromPod = () => ns.kubectl('exec', 'client', '--', ...wget);
    expect((await eventually('a Pod gets an answer', fromPod)).trim()).toBe('web');
    expect((await ns.get('service', 'web')).spec.ports[0].nodePort).toBeUndefined();

    await ns.apply(balanced('second'));
    await eventually('it is told why it waits', async () =>
      (await ns.kubectl('describe', 'service', 'second')).includes(
        `port ${PORT}/TCP of the nodes is taken by Service service-lb/web`,
      ),
    );
    expect(await ips('second')).toEqual([]);
    await ns.kubectl('delete', 'service', 'web');
    await eventually('it has the port', async () => (await ips('second')).join() === address);
    expect(await eventually('an answer again', () => cluster.fetch(url, 1))).toBe('web');
  });

  it('of a class is left to whom the class belongs', async () => {
    const ports = [{ port: PORT + 1 }];
    await ns.apply(balanced('classed', { loadBalancerClass: 'example.com/lb', ports }));
    await ns.apply(balanced('plain', { ports: [{ port: PORT + 2 }] }));
    await eventually('the plain one has an address', async () => (await ips('plain')).length === 1);
    expect(await ips('classed')).toEqual([]);
  });
});
