import { describe, expect, it } from 'vitest';
import { PODS } from '../api/resource-types.ts';
import type { Pod, PodDisruptionBudget } from '../api/types.ts';
import { CycleState } from './cycle-state.ts';
import { fitErrorMessage } from './fit-error.ts';
import { testBench } from './framework.fake.ts';
import { makeNode, makePod } from './objects.fake.ts';
import { PodInfo } from './pod-info.ts';
import { dryRun } from './preemption.ts';
import { cheapest, type Victims } from './victims.ts';

const startedAt = (pod: Pod, second: number): Pod => ({
  ...pod,
  status: { startTime: new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString() },
});

/** Victims by priority and start: `[[5, 10], [1]]`. */
function victims(nodeName: string, pods: readonly number[][], pdbViolations = 0): Victims {
  const infos = pods.map(
    ([priority = 0, start = 0], i) =>
      new PodInfo(startedAt(makePod(`${nodeName}-${i}`, { priority }), start)),
  );
  return { nodeName, pods: infos, pdbViolations };
}

describe('cheapest', () => {
  it.each([
    ['fewest broken budgets', victims('a', [[1]], 1), victims('b', [[9], [9]])],
    ['lowest highest priority', victims('a', [[5]]), victims('b', [[4], [4], [4]])],
    ['lowest sum of priorities', victims('a', [[5], [5]]), victims('b', [[5], [4]])],
    ['fewest Pods', victims('a', [[5], [0]]), victims('b', [[5]])],
    ['latest start of the most important', victims('a', [[5, 10]]), victims('b', [[5, 20]])],
    ['nobody to evict any more', victims('a', [[1]]), victims('b', [])],
  ])('prefers the node with the %s', (_what, worse, better) => {
    expect(cheapest([worse, better])?.nodeName).toBe('b');
    expect(cheapest([better, worse])?.nodeName).toBe('b');
  });
});

/** A node `a` of four cores with these Pods, and a Pod of priority 10 that needs them all. */
function full(pods: readonly Pod[], vip: Parameters<typeof makePod>[1] = {}) {
  const bench = testBench();
  bench.addNodes(makeNode('a'));
  bench.addPods(...bench.client.seed(PODS, ...pods));
  const pod = new PodInfo(makePod('vip', { cpu: '2', priority: 10, ...vip }));
  const state = new CycleState();
  const snapshot = bench.cache.snapshot();
  bench.profile.preFilter(state, pod, snapshot);
  const unplaced = { state, pod, snapshot, rejections: new Map() };
  const evicted = (budgets: readonly PodDisruptionBudget[] = []) => {
    const options = { budgets, enough: 10, offset: 0 };
    const [found] = dryRun(unplaced, snapshot.nodes, bench.profile, options).candidates;
    return found && [found.pods.map((one) => one.pod.metadata.name), found.pdbViolations];
  };
  return { bench, pod, evicted };
}

const on = (name: string, priority: number, app = name) =>
  makePod(name, { cpu: '1', priority, nodeName: 'a', labels: { app } });

describe('preemption on a node', () => {
  const budget = (app: string, disruptionsAllowed: number) =>
    ({
      metadata: { name: app, namespace: 'default' },
      spec: { selector: { matchLabels: { app } } },
      status: { disruptionsAllowed },
    }) as unknown as PodDisruptionBudget;

  it('takes the least important Pods, and no more than it must', () => {
    const { evicted } = full([on('p1', 1), on('p2', 2), on('p3', 3), on('p11', 11)]);
    expect(evicted()).toEqual([['p2', 'p1'], 0]);
  });

  it('spares Pods that a budget protects, even for more important ones', () => {
    const pods = [on('p1', 1), on('p2', 2), on('p3', 3), on('p4', 4)];
    const { evicted } = full(pods);
    expect(evicted([budget('p1', 0)])).toEqual([['p3', 'p2'], 0]);
    expect(evicted([budget('p1', 1)])).toEqual([['p2', 'p1'], 0]);
    const all = ['p1', 'p2', 'p3', 'p4'].map((app) => budget(app, 0));
    expect(evicted(all)).toEqual([['p2', 'p1'], 2]);
  });

  it('counts Pods of one budget together', () => {
    const pods = [on('p1', 1, 'web'), on('p2', 2, 'web'), on('p3', 3), on('p4', 4)];
    const { evicted } = full(pods);
    expect(evicted([budget('web', 1)])).toEqual([['p3', 'p2'], 0]);
  });

  it('never evicts Pods that are as important', () => {
    const { evicted } = full([1, 2, 3, 4].map((i) => on(`p${i}`, 10)));
    expect(evicted()).toBeUndefined();
  });
});

describe('DefaultPreemption', () => {
  const why = async (bench: ReturnType<typeof full>['bench'], pod: PodInfo) => {
    const placement = await bench.place(pod.pod);
    if (placement.kind !== 'unschedulable') throw new Error(placement.kind);
    const state = new CycleState();
    const snapshot = bench.cache.snapshot();
    bench.profile.preFilter(state, pod, snapshot);
    const { rejections } = placement.diagnosis;
    const result = await bench.profile.postFilter({ state, pod, snapshot, rejections });
    placement.diagnosis.postFilterMessage = result.status?.reasons.join(', ') ?? '';
    return [result.nominatedNode, fitErrorMessage(placement.diagnosis)];
  };
  const crowd = () => [1, 2, 3, 4].map((i) => on(`p${i}`, i));

  it('names the node where it makes room, and the Pods there go', async () => {
    const { bench, pod } = full(crowd());
    expect((await why(bench, pod))[0]).toBe('a');
    await expect
      .poll(() => bench.client.log.filter((line) => line.startsWith('delete pods')))
      .toEqual(['delete pods default/p2', 'delete pods default/p1']);
  });

  it('leaves all alone for a Pod that may not preempt', async () => {
    const { bench, pod } = full(crowd(), { spec: { preemptionPolicy: 'Never' } });
    expect(await why(bench, pod)).toEqual([
      undefined,
      '0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never.',
    ]);
    expect(bench.client.actions).toEqual([]);
  });

  it('waits for the victims that are on their way out', async () => {
    const leaving = {
      ...on('p0', 0),
      status: {
        conditions: [{ type: 'DisruptionTarget', status: 'True', reason: 'PreemptionByScheduler' }],
      },
    } as Pod;
    leaving.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
    const { bench, pod } = full([leaving, ...crowd().slice(1)]);
    const nominated = { ...pod.pod, status: { nominatedNodeName: 'a' } } as Pod;
    expect((await why(bench, new PodInfo(nominated)))[1]).toContain(
      'preemption: not eligible due to a terminating pod on the nominated node.',
    );
  });

  it('says where evicting would not help', async () => {
    const { bench, pod } = full([], { cpu: '64' });
    expect((await why(bench, pod))[1]).toBe(
      '0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.',
    );
  });
});
