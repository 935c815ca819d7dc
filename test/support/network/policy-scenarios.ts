import assert from 'node:assert/strict';
import type { KubeObject } from '../../../src/api/types.ts';
import { eventually } from './answers.ts';
import { NamespaceProcess } from './namespace-process.ts';
import { ADDRESSES, type NetworkWorld, type Place, type PodName } from './network-world.ts';
import type { Scenario } from './proxy-scenarios.ts';
import { service, slice } from './service-objects.ts';

const NAMES: readonly PodName[] = ['pod1', 'pod2', 'pod3', 'pod4'];

/** The Pods of the world as `app: NAME`; pod4, on the other node, is of namespace other. */
export function policyPods(): KubeObject[] {
  const namespaces = ['default', 'other'].map((name) => policyNamespace(name));
  return [...namespaces, ...NAMES.map(policyPod)];
}

export function policyNamespace(name: string, team = name): KubeObject {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: { team } } };
}

function policyPod(name: PodName): KubeObject {
  const { ip, ip6, node } = ADDRESSES[name];
  const ports = [
    { name: 'echo', containerPort: 8080 },
    { name: 'more', containerPort: 9090 },
  ];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: name === 'pod4' ? 'other' : 'default', labels: { app: name } },
    spec: { nodeName: node, containers: [{ name: 'main', ports }] },
    status: { phase: 'Running', podIP: ip, podIPs: [{ ip }, { ip: ip6 }] },
  } as KubeObject;
}

/** A policy for pod1: nobody gets in, unless `spec` says otherwise. */
export function policyFor(spec: object): KubeObject {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'policy', namespace: 'default' },
    spec: { podSelector: { matchLabels: { app: 'pod1' } }, policyTypes: ['Ingress'], ...spec },
  } as KubeObject;
}

/** What network policies owe to a mode's Services: they judge the Pod that is reached, and who asked for it. */
export const POLICY_SCENARIOS: readonly Scenario[] = [
  {
    name: 'is held back by network policies',
    except: { userspace: 'the relay stands between: for the Pods all comes from the node' },
    async run(world, mode) {
      await world.apply(
        service('held', '10.96.0.90'),
        slice('held', ['pod1']),
        service('free', '10.96.0.91'),
        slice('free', ['pod3']),
      );
      const harness = new NamespaceProcess(world.ns('node'), 'policy-harness', [mode]);
      try {
        await harness.whenReady();
        await harness.ask({ op: 'apply', objects: policyPods() });
        await reaches(world, 'client', '10.96.0.90', 'pod1');
        const friends = [{ podSelector: { matchLabels: { app: 'pod2' } } }];
        const spec = { policyTypes: ['Ingress', 'Egress'], ingress: [{ from: friends }] };
        await harness.ask({ op: 'apply-timed', objects: [policyFor(spec)] });
        await reaches(world, 'client', '10.96.0.90', 'timeout');
        await reaches(world, 'pod2', '10.96.0.90', 'pod1');
        await reaches(world, 'node', '10.96.0.90', 'pod1');
        await reaches(world, 'pod1', '10.96.0.91', 'timeout');
        await reaches(world, 'client', '10.96.0.91', 'pod3');
        await harness.ask({ op: 'cleanup', objects: [] });
        await reaches(world, 'client', '10.96.0.90', 'pod1');
      } finally {
        await harness.stop();
      }
    },
  },
];

async function reaches(world: NetworkWorld, from: Place, ip: string, whom: string): Promise<void> {
  await eventually(async () => {
    const [answer] = await world.tcp(from, ip, 80);
    assert.equal(answer?.name ?? answer?.error, whom, `${from} to ${ip}`);
  });
}
