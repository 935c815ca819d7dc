import { beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import {
  BUSYBOX_IMAGE,
  list,
  service,
  shellPod,
  webDeployment,
  webPod,
} from '../support/manifests.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'services');

/** The names that a URL is answered with, until there are as many as asked for. */
async function answers(ask: () => Promise<string>, count: number): Promise<Set<string>> {
  const seen = new Set<string>();
  await eventually(`answers of ${count} Pods`, async () => {
    seen.add(await ask());
    return seen.size >= count;
  });
  return seen;
}

describe('a Service', () => {
  beforeAll(async () => {
    await ns.apply(
      list(
        webDeployment('spread', 3),
        service('spread', { type: 'NodePort' }),
        shellPod('client', 'sleep 3600'),
      ),
    );
    await ns.kubectl('rollout', 'status', 'deployment/spread', '--timeout=120s');
    await ns.kubectl('wait', '--for=condition=Ready', 'pod/client', '--timeout=120s');
  });
  const fromPod = async (url: string) =>
    (await ns.kubectl('exec', 'client', '--', 'timeout', '3', 'wget', '-q', '-O', '-', url)).trim();

  it('spreads over its endpoints, from the node, from a Pod and by its node port', async () => {
    const { spec } = await ns.get('service', 'spread');
    const url = `http://${spec.clusterIP}/`;
    const [port] = spec.ports;
    const expected = (await ns.get('pods', '-l', 'app=spread')).items
      .map((pod: { metadata: { name: string } }) => pod.metadata.name)
      .sort();
    expect([...(await answers(() => cluster.fetch(url), 3))].sort()).toEqual(expected);
    expect([...(await answers(() => fromPod(url), 3))].sort()).toEqual(expected);
    const nodePort = `http://${cluster.network.address}:${port.nodePort}/`;
    expect([...(await answers(() => cluster.fetch(nodePort), 3))].sort()).toEqual(expected);
  });

  it('lets a Pod reach itself', async () => {
    await ns.apply(list(webPod('alone'), service('alone')));
    await ns.kubectl('wait', '--for=condition=Ready', 'pod/alone', '--timeout=120s');
    const { spec } = await ns.get('service', 'alone');
    const ask = () =>
      ns.kubectl(
        'exec',
        'alone',
        '--',
        'timeout',
        '3',
        'wget',
        '-q',
        '-O',
        '-',
        `http://${spec.clusterIP}/`,
      );
    expect((await eventually('the hairpin works', ask)).trim()).toBe('alone');
  });

  it('without a ClusterIP lists its Pods and has no rules', async () => {
    await ns.apply(service('headless', { clusterIP: 'None', selector: { app: 'spread' } }));
    await eventually('three endpoints', async () => {
      const { items } = await ns.get('endpointslices', '-l', 'kubernetes.io/service-name=headless');
      return items[0]?.endpoints?.length === 3;
    });
    const { stdout } = await cluster.network.run('iptables-save', ['-t', 'nat']);
    expect(stdout).toContain('services/spread');
    expect(stdout).not.toContain('services/headless');
  });

  it('sends no new connection to a Pod that is deleted', async () => {
    const { spec } = await ns.get('service', 'spread');
    const [victim] = (await ns.get('pods', '-l', 'app=spread')).items;
    await ns.kubectl('delete', 'pod', victim.metadata.name, '--wait=false');
    await eventually('the endpoint is gone from the kernel', async () => {
      const { stdout } = await cluster.network.run('iptables-save', ['-t', 'nat']);
      return !stdout.includes(`${victim.status.podIP}:8080`);
    });
    for (let i = 0; i < 20; i++) {
      expect(await cluster.fetch(`http://${spec.clusterIP}/`)).not.toBe(victim.metadata.name);
    }
  });

  it('without endpoints refuses at once', async () => {
    await ns.apply(service('nobody'));
    const { spec } = await ns.get('service', 'nobody');
    await eventually('connections are refused', async () => {
      const { exitCode } = await cluster.network.run(
        'curl',
        ['-sS', '--max-time', '3', `http://${spec.clusterIP}/`],
        {
          acceptExitCodes: [7, 28],
        },
      );
      return exitCode === 7; // refused; 28 would be a time-out
    });
  });
});

describe('a UDP Service', () => {
  it('forgets the connections of a Pod that went', async () => {
    const echo = (name: string) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: { app: 'udp' } },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: 'echo',
            image: BUSYBOX_IMAGE,
            command: ['sleep', '3600'],
          },
        ],
      },
    });
    await ns.apply(
      list(
        echo('udp-1'),
        service('udp', { ports: [{ port: 53, protocol: 'UDP', targetPort: 5353 }] }),
      ),
    );
    await ns.kubectl('wait', '--for=condition=Ready', 'pod/udp-1', '--timeout=120s');
    const { spec } = await ns.get('service', 'udp');
    const { podIP } = (await ns.get('pod', 'udp-1')).status;
    const entries = async () => {
      const args = ['-L', '-p', 'udp', '--orig-dst', spec.clusterIP];
      return (await cluster.network.run('conntrack', args)).stdout;
    };
    // One client, one source port: what a resolver does, and what conntrack would send to the dead Pod for ever.
    const send = () =>
      cluster.network.run('socat', ['-u', 'STDIN', `UDP4:${spec.clusterIP}:53,sourceport=5000`], {
        input: 'hello',
      });
    await eventually('conntrack knows the connection', async () => {
      await send();
      return (await entries()).includes(podIP);
    });
    await ns.kubectl('delete', 'pod', 'udp-1', '--grace-period=1');
    await eventually('conntrack has forgotten it', async () => !(await entries()).includes(podIP));
  });
});
