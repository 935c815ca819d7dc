import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DAEMON_SETS, NODES, PODS } from '../../api/resource-types.ts';
import type { DaemonSet, Node, Pod } from '../../api/types.ts';
import { World } from '../world.fake.ts';
import { daemonSetController } from './daemonset-controller.ts';
import { targetNode } from './nodes.ts';
import { planDaemons } from './plan.ts';

const NOW = Date.UTC(2026, 0, 1);
const HASH = 'controller-revision-hash';

interface Given {
  readonly on: string;
  readonly hash?: string;
  readonly ready?: boolean;
  readonly phase?: string;
  readonly going?: boolean;
  readonly age?: number;
}

const podOf = (given: Given, i: number) => {
  const { on, hash = 'new', ready = true, phase = 'Running', going = false, age = i } = given;
  return {
    metadata: {
      name: `${on}-${hash}`,
      labels: { [HASH]: hash },
      creationTimestamp: new Date(NOW - 100_000 + age * 1000).toISOString(),
      ...(going ? { deletionTimestamp: 'x' } : {}),
    },
    spec: { nodeName: on },
    status: {
      phase,
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: '2025' }],
    },
  } as unknown as Pod;
};
const nodeOf = (name: string, taint?: string) =>
  ({
    metadata: { name, labels: { 'kubernetes.io/hostname': name } },
    ...(taint ? { spec: { taints: [{ key: 'x', effect: taint }] } } : {}),
  }) as unknown as Node;
const setOf = (updateStrategy: object = {}, spec: object = {}) =>
  ({
    metadata: { name: 'd' },
    spec: { updateStrategy, template: { spec: { containers: [], ...spec } } },
  }) as unknown as DaemonSet;
const plan = (set: DaemonSet, given: readonly Given[], nodes = [nodeOf('a'), nodeOf('b')]) => {
  const found = planDaemons(set, { nodes, pods: given.map(podOf), hash: 'new', now: NOW });
  return { create: found.create, delete: found.delete.map(({ metadata }) => metadata.name) };
};
const rolling = (rollingUpdate: object) => ({ type: 'RollingUpdate', rollingUpdate });
const old = (on: string, more: Partial<Given> = {}): Given => ({ on, hash: 'old', ...more });

describe('planDaemons', () => {
  it('takes a Pod of the same count of templates for new, whatever the hash of its revision', () => {
    const set = setOf(rolling({ maxUnavailable: 1 }));
    set.metadata.annotations = { 'deprecated.daemonset.template.generation': '3' };
    const pods = ['2', '3'].map((generation, i) => {
      const pod = podOf(old(i === 0 ? 'a' : 'b'), i);
      pod.metadata.labels = { ...pod.metadata.labels, 'pod-template-generation': generation };
      return pod;
    });
    const found = planDaemons(set, {
      nodes: [nodeOf('a'), nodeOf('b')],
      pods,
      hash: 'new',
      now: NOW,
    });
    expect(found.delete.map(({ metadata }) => metadata.name)).toEqual(['a-old']);
  });

  it.each<[string, DaemonSet, Given[], { create: string[]; delete: string[] }]>([
    ['gives each node one', setOf(), [{ on: 'a' }], { create: ['b'], delete: [] }],
    [
      'takes the younger of two',
      setOf(),
      [{ on: 'a' }, { on: 'a', hash: 'second' }, { on: 'b' }],
      { create: [], delete: ['a-second'] },
    ],
    [
      'replaces what has ended',
      setOf(),
      [{ on: 'a', phase: 'Failed' }, { on: 'b' }],
      { create: [], delete: ['a-new'] },
    ],
    [
      'leaves old Pods alone with OnDelete',
      setOf({ type: 'OnDelete' }),
      [old('a'), old('b')],
      { create: [], delete: [] },
    ],
    [
      'updates one at a time',
      setOf(rolling({ maxUnavailable: 1 })),
      [old('a'), old('b')],
      { create: [], delete: ['a-old'] },
    ],
    [
      'waits for the one in work',
      setOf(rolling({ maxUnavailable: 1 })),
      [{ on: 'a', ready: false }, old('b')],
      { create: [], delete: [] },
    ],
    [
      'replaces what does not serve, whatever the limit',
      setOf(rolling({ maxUnavailable: 1 })),
      [old('a', { ready: false }), old('b', { ready: false })],
      { create: [], delete: ['a-old', 'b-old'] },
    ],
    [
      'surges beside the old Pod',
      setOf(rolling({ maxSurge: 1, maxUnavailable: 0 })),
      [old('a'), old('b')],
      { create: ['a'], delete: [] },
    ],
    [
      'takes the old Pod when the new one serves',
      setOf(rolling({ maxSurge: 1, maxUnavailable: 0 })),
      [old('a'), { on: 'a' }, old('b')],
      { create: [], delete: ['a-old'] },
    ],
    [
      'surges where nothing serves without using up the surge',
      setOf(rolling({ maxSurge: 1, maxUnavailable: 0 })),
      [old('a', { ready: false }), old('b')],
      { create: ['a', 'b'], delete: [] },
    ],
    [
      'surges by a part of the nodes',
      setOf(rolling({ maxSurge: '100%', maxUnavailable: 0 })),
      [old('a'), old('b')],
      { create: ['a', 'b'], delete: [] },
    ],
  ])('%s', (_, set, given, wanted) => {
    expect(plan(set, given)).toEqual(wanted);
  });

  it.each<[string, DaemonSet, Node, Given[], { create: string[]; delete: string[] }]>([
    ['NoSchedule keeps new ones out', setOf(), nodeOf('a', 'NoSchedule'), [], none()],
    ['NoSchedule lets old ones stay', setOf(), nodeOf('a', 'NoSchedule'), [{ on: 'a' }], none()],
    ['NoExecute drives out', setOf(), nodeOf('a', 'NoExecute'), [{ on: 'a' }], none('a-new')],
    [
      'a toleration lets in',
      setOf({}, { tolerations: [{ operator: 'Exists' }] }),
      nodeOf('a', 'NoExecute'),
      [],
      { create: ['a'], delete: [] },
    ],
    [
      'a node selector keeps out',
      setOf({}, { nodeSelector: { disk: 'ssd' } }),
      nodeOf('a'),
      [{ on: 'a' }],
      none('a-new'),
    ],
  ])('%s', (...[, set, node, given, wanted]) => {
    expect(plan(set, given, [node])).toEqual(wanted);
  });
});

function none(...deleted: string[]) {
  return { create: [], delete: deleted };
}

describe('DaemonSet controller', () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });
  afterEach(() => world.stop());

  it('replaces a failed Pod at once, the next one of that node only after a while', async () => {
    const labels = { app: 'd' };
    world.client.seed(NODES, nodeOf('a') as never);
    world.client.seed(DAEMON_SETS, {
      metadata: { namespace: 'default', name: 'd', generation: 1 },
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [] } },
      },
    } as never);
    world.start([daemonSetController]);
    const only = () => {
      const pods = world.client.all(PODS);
      expect(pods.map(({ spec }) => targetNode(spec))).toEqual(['a']);
      return pods[0];
    };
    await world.until(only);
    const first = only();
    await world.setPods(() => true, { ready: false, phase: 'Failed' });
    await world.until(() => expect(only()?.metadata.uid).not.toBe(first?.metadata.uid));
    const second = only();
    await world.setPods(() => true, { ready: false, phase: 'Failed' });
    await world.atRest();
    expect(only()?.metadata.uid).toBe(second?.metadata.uid);
    expect(world.events.lines.filter((line) => line.includes('FailedDaemonPod'))).toHaveLength(1);
    await world.until(() => expect(only()?.metadata.uid).not.toBe(second?.metadata.uid));
  });
});
