import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/api/types.ts';
import { eventually } from '../support/network/answers.ts';
import { NamespaceProcess } from '../support/network/namespace-process.ts';
import { ADDRESSES, NetworkWorld, type PodName } from '../support/network/network-world.ts';
import { allows, type End, type Policy, randomPolicies } from '../support/network/policy-model.ts';
import { policyPods } from '../support/network/policy-scenarios.ts';

const PODS: readonly PodName[] = ['pod1', 'pod2', 'pod3', 'pod4'];
const PORTS = [8080, 9090] as const;
const ROUNDS = Array.from({ length: 12 }, (_, i) => i + 1);
/** Ends that ask: Pods of the node, and a machine outside. The other node's Pod has no place of its own to ask from. */
const ASKERS: readonly End[] = ['pod1', 'pod2', 'client'];

const CELLS = ASKERS.flatMap((from) =>
  PODS.flatMap((to) => PORTS.map((port) => [from, to, port] as const)),
);

describe.each(['iptables', 'nftables'])('policies of all forms by %s', (mode) => {
  const world = new NetworkWorld();
  const servers: NamespaceProcess[] = [];
  let harness: NamespaceProcess;

  beforeAll(async () => {
    await world.start();
    harness = new NamespaceProcess(world.ns('node'), 'policy-harness', [mode]);
    await harness.whenReady();
    for (const pod of PODS) {
      const place = pod === 'pod4' ? 'node-b' : pod;
      const server = new NamespaceProcess(world.ns(place), 'echo-server', [pod, '9090']);
      servers.push(server);
      await server.whenReady();
    }
    await harness.ask({ op: 'apply', objects: policyPods() });
  });
  afterAll(async () => {
    await Promise.all([harness?.stop(), ...servers.map((server) => server.stop('SIGKILL'))]);
    await world.stop();
  });

  async function seen(): Promise<Record<string, boolean>> {
    const answers = await Promise.all(
      CELLS.map(async ([from, to, port]) => {
        const [answer] = await world.tcp(from as 'pod1', ADDRESSES[to].ip, port);
        return [`${from} to ${to}:${port}`, answer?.name === to] as const;
      }),
    );
    return Object.fromEntries(answers);
  }

  function wanted(policies: readonly Policy[]): Record<string, boolean> {
    return Object.fromEntries(
      CELLS.map((cell) => [`${cell[0]} to ${cell[1]}:${cell[2]}`, allows(policies, cell)]),
    );
  }

  it.each(ROUNDS)('let through what the API says, number %i', async (seed) => {
    const policies = randomPolicies(seed);
    const objects = policies.map(({ namespace, ...spec }, index) => ({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: `p${index}`, namespace },
      spec,
    })) as unknown as KubeObject[];
    await harness.ask({ op: 'apply', objects });
    await eventually(async () => {
      expect(await seen(), JSON.stringify(policies)).toEqual(wanted(policies));
    });
    await harness.ask({ op: 'delete', objects });
  });

  it('are of all kinds: some let through, some hold back, from outside as well', () => {
    const cells = ROUNDS.flatMap((seed) => Object.entries(wanted(randomPolicies(seed))));
    for (const from of ASKERS) {
      const results = new Set(cells.filter(([cell]) => cell.startsWith(from)).map(([, ok]) => ok));
      expect(results.size, from).toBe(2);
    }
  });
});
