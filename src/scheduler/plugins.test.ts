import { describe, expect, it } from 'vitest';
import type { PodSpec } from '../api/types.ts';
import { fitErrorMessage } from './fit-error.ts';
import { testBench } from './framework.fake.ts';
import { makeNode, makePod } from './objects.fake.ts';

const ZONE = 'topology.kubernetes.io/zone';
const HOST = 'kubernetes.io/hostname';
const web = { labels: { app: 'web' } };
const zone = (value: string) => ({ labels: { [ZONE]: value } });
const selector = { matchLabels: { app: 'web' } };

async function why(bench: ReturnType<typeof testBench>, pod: ReturnType<typeof makePod>) {
  const placement = await bench.place(pod);
  return placement.kind === 'unschedulable' ? fitErrorMessage(placement.diagnosis) : placement.kind;
}

async function chosen(bench: ReturnType<typeof testBench>, pod: ReturnType<typeof makePod>) {
  const placement = await bench.place(pod);
  return placement.kind === 'placed' ? placement.nodeName : placement.kind;
}

describe('PodTopologySpread', () => {
  const spread = (extra: object): { spec: Partial<PodSpec>; labels: Record<string, string> } => ({
    ...web,
    spec: {
      topologySpreadConstraints: [
        {
          ...{ maxSkew: 1, topologyKey: ZONE, whenUnsatisfiable: 'DoNotSchedule' },
          ...{ labelSelector: selector, ...extra },
        },
      ],
    },
  });

  it('counts an empty domain as long as there are fewer than minDomains', async () => {
    const bench = testBench();
    bench.addNodes(makeNode('a', zone('a')), makeNode('b', zone('b')));
    bench.addPods(makePod('1', { ...web, nodeName: 'a' }), makePod('2', { ...web, nodeName: 'b' }));
    expect(await chosen(bench, makePod('p', spread({ minDomains: 2 })))).toMatch(/^[ab]$/);
    expect(await why(bench, makePod('q', spread({ minDomains: 3 })))).toBe(
      "0/2 nodes are available: 2 node(s) didn't match pod topology spread constraints.",
    );
  });

  it('tells a missing label from a skew', async () => {
    const bench = testBench();
    bench.addNodes(makeNode('a', zone('a')), makeNode('b', zone('b')), makeNode('bare'));
    bench.addPods(makePod('1', { ...web, nodeName: 'a' }));
    bench.addPods(...[2, 3].map((i) => makePod(`${i}`, { nodeName: 'b', cpu: '2' })));
    expect(await why(bench, makePod('p', { ...spread({}), cpu: '1' }))).toBe(
      "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match pod topology spread constraints, 1 node(s) didn't match pod topology spread constraints (missing required label).",
    );
  });

  it('leaves tainted nodes out of the count only when asked to', async () => {
    const bench = testBench();
    const taints = [{ key: 'gone', effect: 'NoSchedule' }];
    bench.addNodes(makeNode('a', zone('a')), { ...makeNode('b', zone('b')), spec: { taints } });
    bench.addPods(makePod('1', { ...web, nodeName: 'a' }));
    expect(await why(bench, makePod('p', spread({})))).toContain('topology spread');
    expect(await chosen(bench, makePod('q', spread({ nodeTaintsPolicy: 'Honor' })))).toBe('a');
  });

  it('counts only Pods that have its own values of matchLabelKeys', async () => {
    const bench = testBench();
    bench.addNodes(makeNode('a', zone('a')), makeNode('b', zone('b')));
    const version = (hash: string) => ({ labels: { app: 'web', hash } });
    bench.addPods(
      ...['1', '2'].map((name) => makePod(name, { ...version('old'), nodeName: 'a' })),
      makePod('3', { ...version('new'), nodeName: 'b' }),
    );
    const pod = (extra: object, hash: string) =>
      makePod('p', { ...spread(extra), ...version(hash) });
    const keys = { matchLabelKeys: ['hash', 'absent'] };
    expect(await chosen(bench, pod({}, 'new'))).toBe('b');
    expect(await chosen(bench, pod(keys, 'new'))).toBe('a');
    expect(await chosen(bench, pod(keys, 'old'))).toBe('b');
    const soft = { whenUnsatisfiable: 'ScheduleAnyway', ...keys };
    expect(await chosen(bench, pod(soft, 'new'))).toBe('a');
  });

  it('prefers the domain with fewer of them when it is soft', async () => {
    const bench = testBench();
    bench.addNodes(makeNode('a', zone('a')), makeNode('b', zone('b')));
    bench.addPods(makePod('1', { ...web, nodeName: 'a' }));
    const soft = spread({ whenUnsatisfiable: 'ScheduleAnyway' });
    expect(await chosen(bench, makePod('p', soft))).toBe('b');
  });
});

describe('InterPodAffinity', () => {
  const required = 'requiredDuringSchedulingIgnoredDuringExecution';
  const preferred = 'preferredDuringSchedulingIgnoredDuringExecution';

  it('looks into namespaces by their labels', async () => {
    const bench = testBench();
    bench.addNodes(makeNode('a', zone('a')), makeNode('b', zone('b')));
    bench.namespaces.set('team', { team: 'blue' });
    bench.addPods(makePod('1', { ...web, namespace: 'team', nodeName: 'b' }));
    const term = (team: string) => ({
      ...{ labelSelector: selector, topologyKey: ZONE },
      namespaceSelector: { matchLabels: { team } },
    });
    const pod = (team: string) =>
      makePod('p', { spec: { affinity: { podAffinity: { [required]: [term(team)] } } } });
    expect(await chosen(bench, pod('blue'))).toBe('b');
    expect(await why(bench, pod('red'))).toBe(
      "0/2 nodes are available: 2 node(s) didn't match pod affinity rules.",
    );
  });

  it('keeps Pods away from those that want to be alone', async () => {
    const bench = testBench();
    bench.addNodes(makeNode('a'));
    const alone = { labelSelector: selector, topologyKey: HOST };
    const spec = { affinity: { podAntiAffinity: { [required]: [alone] } } };
    bench.addPods(makePod('1', { nodeName: 'a', spec }));
    expect(await why(bench, makePod('p', web))).toBe(
      "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.",
    );
  });

  it.each([
    ['podAffinity', { matchLabelKeys: ['hash'] }, 'b'],
    ['podAffinity', { mismatchLabelKeys: ['hash'] }, 'a'],
    ['podAntiAffinity', { matchLabelKeys: ['hash'] }, 'a'],
    ['podAntiAffinity', { mismatchLabelKeys: ['hash'] }, 'b'],
    // A label that the Pod does not have says nothing.
    ['podAntiAffinity', { matchLabelKeys: ['absent', 'hash'] }, 'a'],
  ])('reads the labels of the Pod itself: %s with %j', async (part, keys, expected) => {
    const version = (hash: string) => ({ labels: { app: 'web', hash } });
    const term = { labelSelector: selector, topologyKey: ZONE, ...keys };
    const wish = [{ weight: 100, podAffinityTerm: term }];
    for (const rule of [{ [required]: [term] }, { [preferred]: wish }]) {
      const bench = testBench();
      bench.addNodes(makeNode('a', zone('a')), makeNode('b', zone('b')));
      bench.addPods(
        makePod('1', { ...version('old'), nodeName: 'a' }),
        makePod('2', { ...version('new'), nodeName: 'b' }),
      );
      const spec = { affinity: { [part]: rule } };
      expect(await chosen(bench, makePod('p', { ...version('new'), spec }))).toBe(expected);
    }
  });

  it('weighs what Pods prefer, both ways', async () => {
    const bench = testBench();
    bench.addNodes(makeNode('a'), makeNode('b'));
    const podAffinityTerm = { labelSelector: selector, topologyKey: HOST };
    const wish = [{ weight: 100, podAffinityTerm }];
    bench.addPods(makePod('1', { ...web, nodeName: 'b' }));
    const near = { affinity: { podAffinity: { [preferred]: wish } } };
    const far = { affinity: { podAntiAffinity: { [preferred]: wish } } };
    expect(await chosen(bench, makePod('p', { spec: near }))).toBe('b');
    expect(await chosen(bench, makePod('q', { spec: far }))).toBe('a');
    bench.addPods(
      makePod('2', { nodeName: 'a', spec: near }),
      makePod('3', { nodeName: 'b', spec: far }),
    );
    expect(await chosen(bench, makePod('r', web))).toBe('a');
  });
});

describe('NodeResourcesFit', () => {
  it('counts sidecars, init containers, overhead and Pod-level requests', async () => {
    const bench = testBench();
    bench.addNodes(makeNode('a', { cpu: '1' }));
    const container = (cpu: string, restartPolicy?: 'Always') => ({
      ...{ name: cpu, image: 'x', resources: { requests: { cpu } } },
      ...(restartPolicy ? { restartPolicy } : {}),
    });
    const fits = async (spec: Partial<PodSpec>) =>
      (await bench.place(makePod('p', { spec }))).kind === 'placed';
    const main = [container('400m')];
    expect(await fits({ containers: main, initContainers: [container('1')] })).toBe(true);
    expect(await fits({ containers: main, initContainers: [container('1001m')] })).toBe(false);
    const sidecar = container('300m', 'Always');
    expect(await fits({ containers: main, initContainers: [sidecar, container('700m')] })).toBe(
      true,
    );
    expect(await fits({ containers: main, initContainers: [sidecar, container('701m')] })).toBe(
      false,
    );
    expect(await fits({ containers: main, initContainers: [container('701m'), sidecar] })).toBe(
      true,
    );
    expect(await fits({ containers: main, overhead: { cpu: '601m' } })).toBe(false);
    expect(await fits({ containers: main, resources: { requests: { cpu: '1001m' } } })).toBe(false);
  });

  it('knows extended resources', async () => {
    const bench = testBench();
    bench.addNodes(makeNode('a', { 'example.com/gpu': '1' }), makeNode('b'));
    const requests = { 'example.com/gpu': '1' };
    const spec = { containers: [{ name: 'main', image: 'x', resources: { requests } }] };
    expect(await chosen(bench, makePod('p', { spec }))).toBe('a');
    bench.addPods(makePod('1', { nodeName: 'a', spec }));
    expect(await why(bench, makePod('q', { spec }))).toBe(
      '0/2 nodes are available: 2 Insufficient example.com/gpu.',
    );
  });
});

describe('refusals', () => {
  it('are worded as upstream words them', async () => {
    const bench = testBench();
    bench.addNodes(
      { ...makeNode('tainted'), spec: { taints: [{ key: 'k', value: 'v', effect: 'NoExecute' }] } },
      { ...makeNode('cordoned'), spec: { unschedulable: true } },
      makeNode('full', { pods: '0' }),
      makeNode('busy', { labels: { disk: 'ssd' } }),
    );
    const ports = [{ containerPort: 80, hostPort: 80 }];
    const containers = [{ name: 'main', image: 'x', ports }];
    bench.addPods(makePod('1', { nodeName: 'busy', spec: { containers } }));
    expect(await why(bench, makePod('p', { spec: { containers } }))).toBe(
      "0/4 nodes are available: 1 Too many pods, 1 node(s) didn't have free ports for the requested pod ports, 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable.",
    );
    expect(await why(bench, makePod('q', { spec: { nodeSelector: { disk: 'hdd' } } }))).toContain(
      "didn't match Pod's node affinity/selector",
    );
  });
});

describe('ImageLocality', () => {
  it('prefers the node that has the image', async () => {
    const bench = testBench();
    const node = makeNode('b');
    const images = [{ names: ['big:latest'], sizeBytes: 900 * 1024 * 1024 }];
    bench.addNodes(makeNode('a'), { ...node, status: { ...node.status, images } });
    const spec = { containers: [{ name: 'main', image: 'big' }] };
    expect(await chosen(bench, makePod('p', { spec }))).toBe('b');
  });
});

describe('NodeResourcesBalancedAllocation', () => {
  it('prefers the node that becomes more even, not the one that is most even then', async () => {
    const bench = testBench();
    const size = { cpu: '10', memory: '10Gi' };
    bench.addNodes(makeNode('even', size), makeNode('tilted', size));
    bench.addPods(
      makePod('1', { nodeName: 'even', cpu: '4', memory: '4Gi' }),
      makePod('2', { nodeName: 'tilted', cpu: '2', memory: '6Gi' }),
    );
    const placement = await bench.place(makePod('p', { cpu: '2' }));
    if (placement.kind !== 'placed') throw new Error(placement.kind);
    const { nodes = [], columns = [] } = placement.scores ?? {};
    const { scores } = columns.find(({ plugin }) => plugin.endsWith('BalancedAllocation')) ?? {};
    const found = Object.fromEntries(nodes.map(({ name }, i) => [name, scores?.[i]]));
    expect(found).toEqual({ even: 70, tilted: 80 });
  });
});
