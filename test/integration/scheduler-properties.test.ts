import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Node, Pod, PodSpec } from '../../src/api/types.ts';
import { CycleState } from '../../src/scheduler/cycle-state.ts';
import { testBench } from '../../src/scheduler/framework.fake.ts';
import { makePod } from '../../src/scheduler/objects.fake.ts';
import { PodInfo } from '../../src/scheduler/pod-info.ts';
import { dryRun } from '../../src/scheduler/preemption.ts';
import { anyApp, anyNode, anyPodSpec, buildNode } from '../support/random-clusters.ts';
import {
  feasibleNodes,
  fits,
  type ReferenceCluster,
  victimsOn,
} from '../support/reference-scheduler.ts';

const scenario = fc.record({
  nodes: fc.array(anyNode, { minLength: 1, maxLength: 20 }),
  pods: fc.array(
    fc.record({ app: anyApp, spec: anyPodSpec, namespace: fc.constantFrom('x', 'y') }),
    {
      minLength: 1,
      maxLength: 30,
    },
  ),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;

function build({ nodes, pods }: Scenario): { nodes: Node[]; pods: Pod[] } {
  return {
    nodes: nodes.map((node, i) => buildNode(`n${i}`, node)),
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
