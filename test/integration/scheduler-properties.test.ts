import { describe, expect, it } from 'vitest';
import type { Node, Pod, PodSpec } from '../../src/api/types.ts';
import { CycleState } from '../../src/scheduler/cycle-state.ts';
import { testBench } from '../../src/scheduler/framework.fake.ts';
import { makePod } from '../../src/scheduler/objects.fake.ts';
import { PodInfo } from '../../src/scheduler/pod-info.ts';
import { dryRun } from '../../src/scheduler/preemption.ts';
import type { ScoreSheet } from '../../src/scheduler/profile.ts';
import { cheapest } from '../../src/scheduler/victims.ts';
import { fc } from '../support/properties.ts';
import {
  anyApp,
  anyBudget,
  anyDemandingSpec,
  anyNode,
  anyPodSpec,
  buildNode,
} from '../support/random-clusters.ts';
import { leastCost, victimsOn } from '../support/reference-preemption.ts';
import { feasibleNodes, fits, type ReferenceCluster } from '../support/reference-scheduler.ts';
import { referenceScores, referenceTotals } from '../support/reference-scores.ts';

const scenarioOf = ({ nodes, pods }: { nodes: number; pods: number }) =>
  fc.record({
    nodes: fc.array(anyNode, { minLength: 1, maxLength: nodes }),
    pods: fc.array(
      fc.record({ app: anyApp, spec: anyPodSpec, namespace: fc.constantFrom('x', 'y') }),
      { minLength: pods, maxLength: 30 },
    ),
  });
const scenario = scenarioOf({ nodes: 20, pods: 1 });
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

/** The scores of every plugin, and that no node is better than the chosen one by the reference's own sums. */
function compareScores(
  question: Parameters<typeof referenceTotals>[0],
  { nodeName, scores }: { nodeName: string; scores: ScoreSheet | undefined },
): void {
  const names = question.nodes.map(({ metadata }) => metadata.name);
  const totals = referenceTotals(question);
  expect(totals[names.indexOf(nodeName)]).toBe(Math.max(...totals));
  if (!scores) return; // nothing to choose from
  for (const [plugin, expected] of Object.entries(referenceScores(question))) {
    const column = scores.columns.find((one) => one.plugin === plugin)?.scores;
    const found = names.map((name) => {
      const at = scores.nodes.findIndex((node) => node.name === name);
      return column?.[at] ?? 0; // a plugin that has nothing to say adds nothing
    });
    expect({ plugin, scores: found }).toEqual({ plugin, scores: expected });
  }
}

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
          const fitting = nodes.filter(({ metadata }) => found.includes(metadata.name));
          compareScores({ cluster, pod, nodes: fitting }, placement);
          const bound = on(pod, placement.nodeName);
          bench.addPods(bound);
          cluster = { nodes, pods: [...cluster.pods, bound] };
        }
      }),
      { numRuns: 150 },
    );
  });

  it('proposes exactly the victims of the documented rule, and those that cost least', async () => {
    const budgets = fc.array(anyBudget, { maxLength: 6 });
    const vips = fc.oneof({ weight: 4, arbitrary: anyDemandingSpec }, anyPodSpec);
    const seen = { victims: 0, violations: 0 };
    const crowded = scenarioOf({ nodes: 6, pods: 12 });
    await fc.assert(
      fc.asyncProperty(crowded, vips, budgets, fc.nat(), async (made, spec, pdbs, seed) => {
        const { nodes, pods } = build(made);
        const bench = testBench();
        bench.addNodes(...nodes);
        const placedPods = scatter(pods, nodes, seed);
        bench.addPods(...placedPods);
        const cluster = { nodes, pods: placedPods };
        const vip = makePod('vip', {
          ...{ namespace: 'x', labels: { app: 'web' }, spec: { ...spec, priority: 3 } },
        });
        const info = new PodInfo(vip);
        const snapshot = bench.cache.snapshot();
        const state = new CycleState();
        if (bench.profile.preFilter(state, info, snapshot).status) return;
        const full = nodes.filter((node) => !fits(cluster, vip, node));
        const infos = full.flatMap(({ metadata }) => snapshot.get(metadata.name) ?? []);
        const unplaced = { state, pod: info, snapshot, rejections: new Map() };
        const { candidates } = dryRun(unplaced, infos, bench.profile, {
          ...{ budgets: pdbs, enough: 1000, offset: 0 },
        });
        const expected = full.map((node) => ({
          node: node.metadata.name,
          victims: victimsOn(cluster, { pod: vip, budgets: pdbs }, node),
        }));
        for (const { node, victims } of expected) {
          const proposed = candidates.find((c) => c.nodeName === node);
          const names = proposed?.pods.map((p) => p.pod.metadata.name).sort();
          expect({ node, names }).toEqual({ node, names: victims?.names });
          expect({ node, violations: proposed?.pdbViolations }).toEqual({
            ...{ node, violations: victims?.violations },
          });
          if (victims) seen.victims++;
          if (victims?.violations) seen.violations++;
        }
        const chosen = expected.find(({ node }) => node === cheapest(candidates)?.nodeName);
        expect(chosen?.victims?.cost).toEqual(
          leastCost(expected.flatMap(({ victims }) => victims ?? [])),
        );
      }),
      { numRuns: 500 },
    );
    expect(seen.victims).toBeGreaterThan(60);
    expect(seen.violations).toBeGreaterThan(10);
  });
});

/** Puts Pods anywhere: preemption must cope with clusters that no rule made. Some start at the same time. */
function scatter(pods: readonly Pod[], nodes: readonly Node[], seed: number): Pod[] {
  return pods.flatMap((pod, i) => {
    const node = nodes[(seed + i) % nodes.length];
    if (!node) return [];
    const second = Math.floor(i / 2);
    const startTime = new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
    return [{ ...on(pod, node.metadata.name), status: { startTime } }];
  });
}
