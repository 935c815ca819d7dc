import { beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { list, service, shellPod, webPod } from '../support/manifests.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'network-policy');

function policy(spec: object) {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'web' },
    spec: {
      podSelector: {
        matchExpressions: [{ key: 'app', operator: 'In', values: ['web', 'probed'] }],
      },
      policyTypes: ['Ingress'],
      ...spec,
    },
  };
}

const readinessProbe = { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 };

/** Who answers at the Service, asked from a Pod; undefined: nobody. */
async function ask(from: string): Promise<string | undefined> {
  const { clusterIP } = (await ns.get('service', 'web')).spec;
  const wget = ['timeout', '2', 'wget', '-q', '-O', '-', `http://${clusterIP}/`];
  const args = ['-n', ns.name, 'exec', from, '--', ...wget];
  const { stdout } = await cluster.tryKubectl(args, { acceptExitCodes: [0, 1, 124, 143] });
  return stdout.trim() || undefined;
}

describe('a NetworkPolicy', () => {
  beforeAll(async () => {
    await ns.apply(
      list(
        webPod('web', { readinessProbe }),
        service('web'),
        shellPod('friend', 'sleep 3600'),
        shellPod('stranger', 'sleep 3600'),
      ),
    );
    const pods = ['web', 'friend', 'stranger'].map((name) => `pod/${name}`);
    await ns.kubectl('wait', '--for=condition=Ready', ...pods, '--timeout=120s');
    await eventually('the Service answers everybody', () => ask('stranger'));
  });

  it('lets in whom it names and nobody else; the kubelet still probes; without it all come in', async () => {
    await ns.apply(
      policy({ ingress: [{ from: [{ podSelector: { matchLabels: { app: 'friend' } } }] }] }),
    );
    await eventually(
      'the stranger is held back',
      async () => (await ask('stranger')) === undefined,
    );
    expect(await eventually('the friend gets in', () => ask('friend'))).toBe('web');
    // One that was never asked before the policy was there.
    await ns.apply(webPod('probed', { readinessProbe }));
    await ns.kubectl('wait', '--for=condition=Ready', 'pod/probed', '--timeout=120s');
    await ns.kubectl('label', 'pod', 'stranger', 'app=friend', '--overwrite');
    await eventually('a label makes a friend', () => ask('stranger'));
    await ns.apply(policy({}));
    await eventually('nobody gets in', async () => (await ask('friend')) === undefined);
    await ns.kubectl('delete', 'networkpolicy', 'web');
    expect(await eventually('all get in', () => ask('stranger'))).toBe('web');
  });
});
