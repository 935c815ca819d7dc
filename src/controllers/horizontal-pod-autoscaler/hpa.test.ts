import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HORIZONTAL_POD_AUTOSCALERS, PODS } from '../../api/resource-types.ts';
import type { HorizontalPodAutoscaler, Pod } from '../../api/types.ts';
import { World } from '../world.fake.ts';
import { type Memory, normalize, noteScaling } from './behavior.ts';
import { horizontalPodAutoscaler } from './hpa-controller.ts';
import { replicasForPods, replicasForRatio, replicasForShare } from './replicas.ts';

const NOW = Date.UTC(2026, 0, 1);
const ago = (seconds: number) => new Date(NOW - seconds * 1000).toISOString();
const tolerance = { up: 0.1, down: 0.1 };
const options = { cpuInitializationMs: 300_000, initialReadinessMs: 30_000 };

/** `r` ready, `u` unready in its start, `p` pending, `f` failed, `d` going. */
function pod(flag: string, index: number): Pod {
  return {
    metadata: { name: `p${index}`, ...(flag === 'd' ? { deletionTimestamp: ago(1) } : {}) },
    status: {
      phase: { p: 'Pending', f: 'Failed' }[flag] ?? 'Running',
      startTime: ago(flag === 'u' ? 10 : 3600),
      conditions: [
        {
          type: 'Ready',
          status: flag === 'u' ? 'False' : 'True',
          lastTransitionTime: ago(flag === 'u' ? 10 : 3500),
        },
      ],
    },
  } as unknown as Pod;
}

/** Replicas for Pods that each ask for 1000m and use the given percentages; `-`: no metric. */
function replicas(flags: string, used: string, target: number): number {
  const pods = [...flags].map(pod);
  const metrics = new Map(
    used
      .split(' ')
      .flatMap((text, i) =>
        text === '-'
          ? []
          : [[`p${i}`, { milli: Number(text) * 10, at: NOW, windowMs: 1000 }] as const],
      ),
  );
  const requests = new Map(pods.map(({ metadata }) => [metadata.name, 1000]));
  const world = { pods, metrics, isCpu: true, now: NOW, tolerance, options };
  return replicasForPods(pods.length, { value: target, requests }, world).replicas;
}

describe('replicasForPods', () => {
  it.each<[string, string, string, number, number]>([
    ['grows with the use', 'rrr', '90 90 90', 45, 6],
    ['shrinks with the use', 'rrrr', '10 10 10 10', 40, 1],
    ['leaves small differences alone', 'rr', '54 54', 50, 2],
    ['counts Pods without metrics as idle when growing', 'rrr', '100 100 -', 50, 4],
    ['counts Pods without metrics as busy when shrinking', 'rrr', '10 10 -', 50, 3],
    ['counts starting Pods as idle when growing', 'rruu', '100 100 90 90', 70, 4],
    ['ignores starting Pods when shrinking', 'rru', '10 10 90', 50, 1],
    ['counts pending Pods as idle', 'rrp', '100 100 -', 55, 4],
    ['ignores failed Pods and those that go', 'rrfd', '60 60 999 999', 60, 4],
  ])('%s', (...[, flags, used, target, wanted]) => {
    expect(replicas(flags, used, target)).toBe(wanted);
  });

  it('cannot tell without metrics of ready Pods', () => {
    expect(() => replicas('p', '-', 50)).toThrow('did not receive metrics for targeted pods');
  });
});

describe('values', () => {
  it('compares a value of an object', () => {
    expect(replicasForRatio(3, 2, { readyPods: 3, tolerance })).toBe(6);
    expect(replicasForRatio(3, 1.05, { readyPods: 3, tolerance })).toBe(3);
    expect(replicasForRatio(0, 2.5, { readyPods: 0, tolerance })).toBe(3);
  });

  it('shares a value among Pods', () => {
    const share = { milli: 30_000, targetMilli: 5_000, pods: 2 };
    expect(replicasForShare(2, share, tolerance)).toEqual({ replicas: 6, milli: 15_000 });
  });
});

type Behavior = NonNullable<HorizontalPodAutoscaler['spec']>['behavior'];
const memory = (): Memory => ({ recommendations: [], ups: [], downs: [] });

describe('normalize', () => {
  const at = (
    wished: number,
    current: number,
    behavior?: Behavior,
    { past = memory(), now = NOW } = {},
  ) =>
    normalize(wished, { current, min: 1, max: 100 }, behavior, {
      memory: past,
      now,
      downWindowMs: 300_000,
    });

  it('holds growth to the double, or four', () => {
    expect(at(50, 10)).toMatchObject({
      replicas: 20,
      limit: { limited: true, reason: 'ScaleUpLimit' },
    });
    expect(at(9, 1).replicas).toBe(4);
    expect(at(200, 90)).toMatchObject({ replicas: 100, limit: { reason: 'TooManyReplicas' } });
    expect(at(0, 3)).toMatchObject({ replicas: 1, limit: { reason: 'TooFewReplicas' } });
  });

  it('shrinks only to the highest wish of five minutes', () => {
    const past = memory();
    expect(at(8, 8, undefined, { past }).replicas).toBe(8);
    expect(at(2, 8, undefined, { past, now: NOW + 60_000 })).toMatchObject({
      replicas: 8,
      stabilization: { reason: 'ScaleDownStabilized' },
    });
    expect(at(2, 8, undefined, { past, now: NOW + 301_000 }).replicas).toBe(2);
    expect(past.recommendations).toHaveLength(2);
  });

  const policy = (type: string, value: number, periodSeconds = 60) => ({
    type,
    value,
    periodSeconds,
  });

  it.each<[string, NonNullable<Behavior>, number, number, number]>([
    ['grows by Pods', { scaleUp: { policies: [policy('Pods', 3)] } }, 50, 10, 13],
    ['grows by percent', { scaleUp: { policies: [policy('Percent', 50)] } }, 50, 10, 15],
    [
      'takes the widest',
      { scaleUp: { policies: [policy('Pods', 3), policy('Percent', 50)] } },
      50,
      10,
      15,
    ],
    [
      'takes the narrowest',
      { scaleUp: { selectPolicy: 'Min', policies: [policy('Pods', 3), policy('Percent', 50)] } },
      50,
      10,
      13,
    ],
    ['may be switched off', { scaleUp: { selectPolicy: 'Disabled' } }, 50, 10, 10],
    [
      'shrinks by Pods',
      { scaleDown: { stabilizationWindowSeconds: 0, policies: [policy('Pods', 2)] } },
      1,
      10,
      8,
    ],
    [
      'shrinks by percent',
      { scaleDown: { stabilizationWindowSeconds: 0, policies: [policy('Percent', 25)] } },
      1,
      10,
      7,
    ],
  ])('%s', (...[, behavior, wished, current, wanted]) => {
    expect(at(wished, current, behavior).replicas).toBe(wanted);
  });

  it('counts what was scaled within the period', () => {
    const behavior = { scaleUp: { policies: [policy('Pods', 4)] } };
    const past = memory();
    noteScaling(past, { from: 10, to: 13 }, behavior, NOW - 30_000);
    expect(at(50, 13, behavior, { past }).replicas).toBe(14);
    expect(at(50, 13, behavior, { past, now: NOW + 31_000 }).replicas).toBe(17);
  });

  it('steadies growth, too', () => {
    const behavior = {
      scaleUp: { stabilizationWindowSeconds: 60, policies: [policy('Pods', 100)] },
    };
    const past = memory();
    at(5, 5, behavior, { past });
    expect(at(9, 5, behavior, { past, now: NOW + 30_000 })).toMatchObject({
      replicas: 5,
      stabilization: { reason: 'ScaleUpStabilized' },
    });
    expect(at(9, 5, behavior, { past, now: NOW + 61_000 }).replicas).toBe(9);
  });
});

describe('horizontal Pod autoscaler', () => {
  const key = { namespace: 'a', name: 'web' };
  const discovery: Record<string, object> = {
    '/apis': { groups: [{ name: 'apps', versions: [{ version: 'v1' }] }] },
    '/api/v1': { resources: [] },
    '/apis/apps/v1': {
      resources: [{ name: 'deployments', kind: 'Deployment', namespaced: true, verbs: [] }],
    },
  };
  async function answer(method: string, path: string, body?: unknown): Promise<unknown> {
    if (discovery[path]) return discovery[path];
    if (path === '/apis/apps/v1/namespaces/a/deployments/web/scale') {
      if (method === 'PUT') scale = { ...scale, ...(body as typeof scale) };
      return scale;
    }
    if (metricsFail) throw new Error('not there');
    const usage = { cpu: `${percent * 10}m` };
    const containers = [{ name: 'c', usage }];
    const item = { timestamp: new Date().toISOString(), window: '15s', containers };
    return { items: [0, 1].map((i) => ({ ...item, metadata: { name: `w${i}` } })) };
  }
  let world: World;
  let scale: { spec: { replicas: number }; status: object };
  let percent: number;
  let metricsFail = false;
  beforeEach(() => {
    world = new World();
    scale = { spec: { replicas: 2 }, status: { replicas: 2, selector: 'app=web' } };
    percent = 100;
    metricsFail = false;
    world.client.raw = answer;
    const started = new Date(Date.now() - 3_600_000).toISOString();
    for (const i of [0, 1]) {
      world.client.seed(PODS, {
        metadata: { namespace: 'a', name: `w${i}`, labels: { app: 'web' } },
        spec: { containers: [{ name: 'c', resources: { requests: { cpu: '1' } } }] },
        status: {
          phase: 'Running',
          startTime: started,
          conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: started }],
        },
      } as never);
    }
  });
  afterEach(() => world.stop());

  const seed = (spec: object = {}) =>
    world.client.seed(HORIZONTAL_POD_AUTOSCALERS, {
      metadata: key,
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
        minReplicas: 1,
        maxReplicas: 10,
        metrics: [
          {
            type: 'Resource',
            resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } },
          },
        ],
        ...spec,
      },
    } as never);
  const status = async () => (await world.client.get(HORIZONTAL_POD_AUTOSCALERS, key)).status;
  const conditions = async () =>
    (await status())?.conditions?.map((c) => `${c.type}=${c.status} ${c.reason}`);

  it('grows its target, and says why', async () => {
    seed();
    world.start([horizontalPodAutoscaler]);
    await world.until(async () => expect((await status())?.desiredReplicas).toBe(4));
    expect(scale.spec.replicas).toBe(4);
    expect(await conditions()).toEqual([
      'AbleToScale=True SucceededRescale',
      'ScalingActive=True ValidMetricFound',
      'ScalingLimited=False DesiredWithinRange',
    ]);
    expect(await status()).toMatchObject({
      currentReplicas: 2,
      currentMetrics: [{ resource: { current: { averageUtilization: 100, averageValue: '1' } } }],
    });
    expect(world.events.lines).toEqual([
      'Normal SuccessfulRescale a/web: New size: 4; reason: cpu resource utilization (percentage of request) above target',
    ]);
  });

  it('brings a target within its bounds without asking metrics', async () => {
    metricsFail = true;
    scale.spec.replicas = 30;
    seed();
    world.start([horizontalPodAutoscaler]);
    await world.until(() => expect(scale.spec.replicas).toBe(10));
    expect(world.events.lines[0]).toContain('Current number of replicas above Spec.MaxReplicas');
  });

  it('leaves a target alone that was scaled to zero', async () => {
    scale.spec.replicas = 0;
    seed();
    world.start([horizontalPodAutoscaler]);
    await world.until(async () =>
      expect(await conditions()).toContain('ScalingActive=False ScalingDisabled'),
    );
    expect(scale.spec.replicas).toBe(0);
  });

  it('does nothing without metrics, says so, and writes nothing more', async () => {
    metricsFail = true;
    seed();
    world.start([horizontalPodAutoscaler], { hpaSyncPeriodMs: 20 });
    await world.until(async () =>
      expect(await conditions()).toContain('ScalingActive=False FailedGetResourceMetric'),
    );
    expect(world.events.lines[0]).toBe(
      'Warning FailedGetResourceMetric a/web: failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: not there',
    );
    await world.atRest();
    expect(world.client.actions).toHaveLength(1);
  });

  it('tells of a target that is not there', async () => {
    seed({ scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Nonsense', name: 'x' } });
    world.start([horizontalPodAutoscaler]);
    await world.until(async () =>
      expect(await conditions()).toEqual(['AbleToScale=False FailedGetScale']),
    );
    expect(world.events.lines[0]).toContain('no matches for kind "Nonsense" in group "apps"');
  });
});
