import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { sharedCluster } from '../support/shared-cluster.ts';

const cluster = sharedCluster();
const NS = 'apply-path';
const MANIFEST = readFileSync(new URL('../../deploy/demo/web.yaml', import.meta.url), 'utf8');

describe('kubectl apply of a Deployment and a Service', () => {
  beforeAll(async () => {
    await cluster.kubectl('create', 'namespace', NS);
    await cluster.apply(MANIFEST, '-n', NS);
    await cluster.kubectl('rollout', 'status', 'deployment/web', '-n', NS, '--timeout=120s');
  });
  afterAll(() => cluster.kubectl('delete', 'namespace', NS, '--wait=false'));

  it('makes a ReplicaSet that belongs to the Deployment', async () => {
    const { items } = await cluster.get('replicasets', '-n', NS);
    expect(items).toHaveLength(1);
    expect(items[0].metadata.ownerReferences).toMatchObject([
      { kind: 'Deployment', name: 'web', controller: true },
    ]);
    expect(items[0].status).toMatchObject({ replicas: 3, readyReplicas: 3 });
  });

  it('makes Pods that the scheduler bound, the kubelet runs and the ReplicaSet owns', async () => {
    const { items } = await cluster.get('pods', '-n', NS, '-l', 'app=web');
    expect(items).toHaveLength(3);
    for (const pod of items) {
      expect(pod.metadata.ownerReferences[0]).toMatchObject({ kind: 'ReplicaSet' });
      expect(pod.spec.nodeName).toBe('node-1');
      expect(pod.status.phase).toBe('Running');
      expect(pod.status.podIP).toMatch(/^10\.244\.0\./);
      expect(pod.status.containerStatuses[0].containerID).toMatch(/^containerd:\/\//);
    }
    const reasons = 'custom-columns=R:.reason';
    await eventually('the events', async () => {
      const events = await cluster.kubectl('get', 'events', '-n', NS, '-o', reasons);
      return [
        'ScalingReplicaSet',
        'SuccessfulCreate',
        'Scheduled',
        'Pulled',
        'Created',
        'Started',
      ].every((reason) => events.includes(reason));
    });
  });

  it('connects the Service to exactly these Pods, by EndpointSlice and by Endpoints', async () => {
    const pods = await cluster.get('pods', '-n', NS, '-l', 'app=web');
    const ips = pods.items.map((pod: { status: { podIP: string } }) => pod.status.podIP).sort();
    await eventually('three ready endpoints', async () => {
      const slices = await cluster.get(
        'endpointslices',
        '-n',
        NS,
        '-l',
        'kubernetes.io/service-name=web',
      );
      const ready = slices.items
        .flatMap(
          (slice: { endpoints: { addresses: string[]; conditions: { ready: boolean } }[] }) =>
            slice.endpoints,
        )
        .filter((endpoint: { conditions: { ready: boolean } }) => endpoint.conditions.ready)
        .flatMap((endpoint: { addresses: string[] }) => endpoint.addresses)
        .sort();
      expect(ready).toEqual(ips);
      const endpoints = await cluster.get('endpoints', 'web', '-n', NS);
      expect(endpoints.subsets[0].addresses.map((a: { ip: string }) => a.ip).sort()).toEqual(ips);
      return true;
    });
  });

  it('answers on the ClusterIP from every Pod', async () => {
    const { spec } = await cluster.get('service', 'web', '-n', NS);
    const seen = new Set<string>();
    await eventually('an answer of each of the three Pods', async () => {
      seen.add(await cluster.fetch(`http://${spec.clusterIP}/`));
      return seen.size === 3;
    });
    for (const name of seen) expect(name).toMatch(/^web-/);
  });
});
