import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fillIn } from '../../src/cluster/apply.ts';
import { K8TS_IMAGE } from '../../src/cluster/settings.ts';
import { COREDNS_OBJECTS, coreDnsStandIn } from '../support/coredns.ts';
import { eventually } from '../support/eventually.ts';
import { shellPod } from '../support/manifests.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'coredns');
const inSystem = (...args: string[]) => cluster.kubectl('-n', 'kube-system', ...args);
const rolledOut = () => inSystem('rollout', 'status', 'deployment/coredns', '--timeout=120s');

async function withoutDns(): Promise<void> {
  await inSystem('delete', 'deployment/coredns', 'service/kube-dns', '--ignore-not-found');
}

beforeAll(async () => {
  const archive = join(cluster.paths.root, 'coredns.tar');
  writeFileSync(archive, Buffer.concat(coreDnsStandIn()));
  await cluster.k8ts('images', 'import', archive);
  rmSync(archive);
  await ns.apply(shellPod('client', 'sleep 3600'));
  await ns.kubectl('wait', '--for=condition=Ready', 'pod/client', '--timeout=120s');
});

// The other tests of this cluster want its own server.
afterAll(async () => {
  await withoutDns();
  const text = readFileSync(resolve(import.meta.dirname, '../../deploy/addons/dns.yaml'), 'utf8');
  const values = { DNS_IP: '10.96.0.10', DNS_DOMAIN: 'cluster.local', K8TS_IMAGE };
  await cluster.apply(fillIn(text, values), '--server-side', '--force-conflicts');
  await rolledOut();
});

describe("CoreDNS's own manifest", () => {
  it('takes the place of the cluster’s server, as it is', async () => {
    await withoutDns();
    await cluster.apply({ apiVersion: 'v1', kind: 'List', items: COREDNS_OBJECTS });
    await rolledOut();
    // Those of the Deployment that was deleted go by and by.
    const pod = await eventually('no other Pod is left', async () => {
      const pods = await cluster.get('-n', 'kube-system', 'pods', '-l', 'k8s-app=kube-dns');
      const staying = pods.items.filter(
        ({ metadata }: { metadata: { deletionTimestamp?: string } }) =>
          metadata.deletionTimestamp === undefined,
      );
      return staying.length === 1 && staying[0];
    });
    expect(pod.spec).toMatchObject({
      priority: 2_000_000_000,
      serviceAccountName: 'coredns',
      securityContext: { sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '53' }] },
    });
    expect(pod.spec.containers[0].image).toBe('coredns/coredns:1.9.4');
    await eventually('it answers at the Service', async () => {
      // There is no AAAA record, which busybox takes for a failure.
      const ask = 'nslookup kubernetes.default.svc.cluster.local || true';
      const answer = await ns.kubectl('exec', 'client', '--', 'sh', '-c', ask);
      return /10\.96\.0\.1\b/.test(answer);
    });
    // What it may read, by its role: these, and no Secrets.
    const asDns = '--as=system:serviceaccount:kube-system:coredns';
    for (const what of ['services', 'namespaces', 'pods', 'endpointslices.discovery.k8s.io']) {
      expect((await cluster.kubectl('auth', 'can-i', 'watch', what, '-A', asDns)).trim()).toBe(
        'yes',
      );
    }
    const refused = await cluster.tryKubectl(['auth', 'can-i', 'list', 'secrets', '-A', asDns], {
      acceptExitCodes: [1],
    });
    expect(refused.stdout.trim()).toBe('no');
  });
});
