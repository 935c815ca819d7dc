import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Node, Pod, PodSpec } from '../../src/api/types.ts';
import { CycleState } from '../../src/scheduler/cycle-state.ts';
import { testBench } from '../../src/scheduler/framework.fake.ts';
import { makeNode, makePod } from '../../src/scheduler/objects.fake.ts';
import { PodInfo } from '../../src/scheduler/pod-info.ts';
import { dryRun } from '../../src/scheduler/preemption.ts';
import {
  feasibleNodes,
  fits,
  type ReferenceCluster,
  victimsOn,
} from '../support/reference-scheduler.ts';

const HOST = 'kubernetes.io/hostname';
const ZONE = 'topology.kubernetes.io/zone';
const APPS = ['web', 'db', 'cache'] as const;

const app = fc.constantFrom(...APPS);
const selector = app.map((name) => ({ matchLabels: { app: name } }));
const topologyKey = fc.constantFrom(HOST, ZONE);
const term = fc.record({ labelSelector: selector, topologyKey });
const maybe = <T>(arbitrary: fc.Arbitrary<T>, freq = 3) =>
  fc.option(arbitrary, { nil: undefined, freq });

const podSpec: fc.Arbitrary<Partial<PodSpec>> = fc
  .record({
    affinity: maybe(term),
    anti: maybe(term),
    spread: maybe(
      fc.record({
        maxSkew: fc.integer({ min: 1, max: 2 }),
        topologyKey,
        labelSelector: selector,
        minDomains: maybe(fc.integer({ min: 1, max: 4 })),
      }),
    ),
    zone: maybe(fc.constantFrom('a', 'b')),
    not: maybe(fc.constantFrom('a', 'b')),
    tolerates: fc.boolean(),
    hostPort: maybe(fc.integer({ min: 80, max: 82 })),
    cpu: fc.integer({ min: 0, max: 8 }),
    priority: fc.integer({ min: 0, max: 3 }),
  })
  .map((shape) => specOf(shape));

interface Shape {
  affinity: object | undefined;
  anti: object | undefined;
  spread: { minDomains: number | undefined; maxSkew: number; topologyKey: string } | undefined;
  zone: string | undefined;
  not: string | undefined;
  tolerates: boolean;
  hostPort: number | undefined;
  cpu: number;
  priority: number;
}

function specOf(shape: Shape): Partial<PodSpec> {
  const required = 'requiredDuringSchedulingIgnoredDuringExecution';
  const { minDomains, ...spread } = shape.spread ?? { minDomains: undefined };
  const affinity = {
    ...(shape.affinity ? { podAffinity: { [required]: [shape.affinity] } } : {}),
    ...(shape.anti ? { podAntiAffinity: { [required]: [shape.anti] } } : {}),
    ...(shape.not
      ? {
          nodeAffinity: {
            [required]: {
              nodeSelectorTerms: [
                { matchExpressions: [{ key: ZONE, operator: 'NotIn', values: [shape.not] }] },
              ],
            },
          },
        }
      : {}),
  };
  return {
    affinity,
    priority: shape.priority,
    containers: [
      {
        name: 'main',
        image: 'pause',
        resources: { requests: shape.cpu > 0 ? { cpu: `${shape.cpu * 100}m` } : {} },
        ...(shape.hostPort ? { ports: [{ containerPort: 80, hostPort: shape.hostPort }] } : {}),
      },
    ],
    ...(shape.spread
      ? {
          topologySpreadConstraints: [
            {
              ...spread,
              ...(minDomains ? { minDomains } : {}),
              whenUnsatisfiable: 'DoNotSchedule',
            },
          ],
        }
      : {}),
    ...(shape.zone ? { nodeSelector: { [ZONE]: shape.zone } } : {}),
    ...(shape.tolerates ? { tolerations: [{ key: 'dedicated', operator: 'Exists' }] } : {}),
  } as unknown as Partial<PodSpec>;
}

const clusterNodes = fc.array(
  fc.record({
    zone: maybe(fc.constantFrom('a', 'b', 'c'), 6),
    tainted: fc.boolean(),
    cordoned: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    cpu: fc.integer({ min: 4, max: 20 }),
    pods: fc.integer({ min: 1, max: 8 }),
  }),
  { minLength: 1, maxLength: 20 },
);

const scenario = fc.record({
  nodes: clusterNodes,
  pods: fc.array(fc.record({ app, spec: podSpec, namespace: fc.constantFrom('x', 'y') }), {
    minLength: 1,
    maxLength: 30,
  }),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;

function build({ nodes, pods }: Scenario): { nodes: Node[]; pods: Pod[] } {
  return {
    nodes: nodes.map(({ zone, tainted, cordoned, cpu, pods: room }, i) => {
      const labels = zone ? { [ZONE]: zone } : {};
      const node = makeNode(`n${i}`, { cpu: `${cpu * 100}m`, pods: String(room), labels });
      const taints = tainted ? [{ key: 'dedicated', value: 'x', effect: 'NoSchedule' }] : [];
      return { ...node, spec: { taints, unschedulable: cordoned } };
    }),
    pods: pods.map(({ app: name, spec, namespace }, i) =>
      makePod(`p${i}`, { namespace, labels: { app: name }, spec }),
    ),
  };
}

const on = (pod: Pod, nodeName: string): Pod => ({
  ...pod,
  spec: { ...pod.spec, nodeName } as PodSpec,
});

describe('the scheduler against the reference', () => {
  it('finds the same feasible nodes, and picks the best score among them, Pod after Pod', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async (made) => {
        const { nodes, pods } = build(made);
        const bench = testBench();
        bench.addNodes(...nodes);
        let cluster: ReferenceCluster = { nodes, pods: [] };
        for (const pod of pods) {
          const expected = feasibleNodes(cluster, pod).sort();
          const placement = await bench.place(pod);
          if (placement.kind !== 'placed') {
            expect({ pod: pod.metadata.name, expected }).toEqual({
              pod: pod.metadata.name,
              expected: [],
            });
            continue;
          }
          const found = nodes
            .map((node) => node.metadata.name)
            .filter((name) => !placement.rejections.has(name))
            .sort();
          expect({ pod: pod.metadata.name, found }).toEqual({
            pod: pod.metadata.name,
            found: expected,
          });
          const best = Math.max(...(placement.scores?.totals ?? [0]));
          const chosen =
            placement.scores?.nodes.findIndex((n) => n.name === placement.nodeName) ?? 0;
          expect(placement.scores?.totals[chosen] ?? 0).toBe(best);
          const bound = on(pod, placement.nodeName);
          bench.addPods(bound);
          cluster = { nodes, pods: [...cluster.pods, bound] };
        }
      }),
      { numRuns: 150 },
    );
  });

  it('proposes exactly the victims of the documented rule, and the Pod fits without them', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, fc.nat(), async (made, seed) => {
        const { nodes, pods } = build(made);
        const bench = testBench();
        bench.addNodes(...nodes);
        const placedPods: Pod[] = [];
        // Put Pods anywhere: preemption must cope with clusters that no rule made.
        pods.slice(1).forEach((pod, i) => {
          const node = nodes[(seed + i) % nodes.length];
          if (!node) return;
          const start = new Date(Date.UTC(2026, 0, 1, 0, 0, i)).toISOString();
          placedPods.push({ ...on(pod, node.metadata.name), status: { startTime: start } });
        });
        bench.addPods(...placedPods);
        const cluster = { nodes, pods: placedPods };
        const [first] = pods;
        if (!first) return;
        const vip = { ...first, spec: { ...first.spec, priority: 3 } as PodSpec };
        const info = new PodInfo(vip);
        const snapshot = bench.cache.snapshot();
        const state = new CycleState();
        if (bench.profile.preFilter(state, info, snapshot).status) return;
        const unplaced = { state, pod: info, snapshot, rejections: new Map() };
        const { candidates } = dryRun(unplaced, snapshot.nodes, bench.profile, {
          ...{ budgets: [], enough: 1000, offset: 0 },
        });
        for (const node of nodes) {
          const proposed = candidates.find((c) => c.nodeName === node.metadata.name);
          const names = proposed?.pods.map((p) => p.pod.metadata.name).sort();
          if (fits(cluster, vip, node)) continue; // nothing to preempt there
          expect({ node: node.metadata.name, names }).toEqual({
            node: node.metadata.name,
            names: victimsOn(cluster, vip, node),
          });
        }
      }),
      { numRuns: 150 },
    );
  });
});
