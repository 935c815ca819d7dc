import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LEASES, NODES, PODS } from '../../api/resource-types.ts';
import type { Draft, Node, Pod } from '../../api/types.ts';
import { FakeClock } from '../../util/clock.fake.ts';
import { realClock } from '../../util/clock.ts';
import { World } from '../world.fake.ts';
import { unknownConditions, wantedTaints } from './conditions.ts';
import { nodeLifecycleController } from './node-lifecycle-controller.ts';
import { evictionRates } from './zones.ts';

const OPTIONS = {
  nodeEvictionRate: 0.1,
  secondaryNodeEvictionRate: 0.01,
  unhealthyZoneThreshold: 0.55,
  largeClusterSizeThreshold: 50,
};

function node(name: string, ready: 'True' | 'False' | 'Unknown', zone = ''): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, namespace: '', labels: { 'topology.kubernetes.io/zone': zone } },
    spec: {},
    status: {
      conditions: [
        { type: 'Ready', status: ready, lastHeartbeatTime: 'a', lastTransitionTime: 'a' },
      ],
    },
  } as unknown as Node;
}

function readyPod(nodeName: string): Draft<Pod> {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'default', name: 'p' },
    spec: { nodeName, containers: [] },
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

const taintsOf = (n: Node, evict = true) =>
  wantedTaints(n, { evict, now: 0 }).map(({ key, effect }) => `${key}:${effect}`);

describe('wantedTaints', () => {
  it.each([
    ['True', []],
    [
      'False',
      ['node.kubernetes.io/not-ready:NoSchedule', 'node.kubernetes.io/not-ready:NoExecute'],
    ],
    [
      'Unknown',
      ['node.kubernetes.io/unreachable:NoSchedule', 'node.kubernetes.io/unreachable:NoExecute'],
    ],
  ] as const)('of a node whose Ready is %s', (ready, taints) => {
    expect(taintsOf(node('n', ready))).toEqual(taints);
  });

  it('holds the eviction back until it is allowed, and keeps the taints of others', () => {
    const n = node('n', 'False');
    n.spec = { taints: [{ key: 'mine', effect: 'NoExecute' }], unschedulable: true };
    expect(taintsOf(n, false)).toEqual([
      'mine:NoExecute',
      'node.kubernetes.io/not-ready:NoSchedule',
      'node.kubernetes.io/unschedulable:NoSchedule',
    ]);
  });
});

describe('unknownConditions', () => {
  it('says of a kubelet that never spoke that it never did', () => {
    const n = node('n', 'True');
    delete n.status;
    expect(unknownConditions(n, 0).map((c) => c.reason)).toEqual(
      Array.from({ length: 4 }, () => 'NodeStatusNeverUpdated'),
    );
  });
});

describe('evictionRates', () => {
  it('evicts from nobody when every node is down', () => {
    const nodes = [node('a', 'False', 'x'), node('b', 'Unknown', 'y')];
    expect([...evictionRates(nodes, OPTIONS).values()]).toEqual([0, 0]);
  });

  it('stops in a small zone that is mostly down, and goes on in the others', () => {
    const down = ['a', 'b', 'c'].map((name) => node(name, 'Unknown', 'x'));
    const nodes = [...down, node('d', 'True', 'x'), node('e', 'True', 'y')];
    expect([...evictionRates(nodes, OPTIONS).values()]).toEqual([0, 0.1]);
  });
});

describe('Node lifecycle controller', () => {
  let world: World;
  let clock: FakeClock;
  beforeEach(() => {
    clock = new FakeClock(Date.now());
    world = new World(undefined, clock);
  });
  afterEach(() => world.stop());

  it('marks a silent node unknown and its Pods not ready, and no node that renews its lease', async () => {
    world.client.seed(NODES, node('silent', 'True'), node('alive', 'True'));
    const metadata = { namespace: 'kube-node-lease', name: 'alive' };
    world.client.seed(LEASES, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata,
      spec: {},
    });
    world.client.seed(PODS, readyPod('silent'));
    world.start([nodeLifecycleController]);
    let isBeating = true;
    // Time goes on only from one beat to the next: a machine that is held up makes nobody silent.
    const beats = (async () => {
      while (isBeating) {
        const lease = await world.client.get(LEASES, metadata);
        const spec = { ...lease.spec, renewTime: new Date(clock.now()).toISOString() };
        await world.client.update(LEASES, { ...lease, spec });
        await realClock.sleep(2);
        await clock.advance(2_000);
      }
    })();
    const ready = async (name: string) =>
      (await world.client.get(NODES, { namespace: '', name })).status?.conditions?.find(
        (c) => c.type === 'Ready',
      );
    try {
      await world.until(async () =>
        expect(await ready('silent')).toMatchObject({
          status: 'Unknown',
          reason: 'NodeStatusUnknown',
        }),
      );
      await world.until(() =>
        expect(world.client.all(PODS)[0]?.status?.conditions?.[0]?.status).toBe('False'),
      );
      expect((await ready('alive'))?.status).toBe('True');
      await world.until(() =>
        expect(world.client.all(NODES)[0]?.spec?.taints?.map((t) => t.effect)).toEqual([
          'NoSchedule',
          'NoExecute',
        ]),
      );
      expect(world.events.lines).toContain(
        'Normal NodeNotReady silent: Node silent status is now: NodeNotReady',
      );
    } finally {
      isBeating = false;
      await beats;
    }
  });

  it('taints a node whose kubelet says that it is not ready, and leaves its Pods to that kubelet', async () => {
    world.client.seed(NODES, node('troubled', 'False'));
    world.client.seed(PODS, readyPod('troubled'));
    world.start([nodeLifecycleController]);
    await world.until(() =>
      expect(world.client.all(NODES)[0]?.spec?.taints).toContainEqual(
        expect.objectContaining({ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }),
      ),
    );
    await world.atRest();
    expect(world.client.all(PODS)[0]?.status?.conditions?.[0]?.status).toBe('True');
  });
});
