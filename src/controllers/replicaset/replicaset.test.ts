import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApiError } from '../../api/errors.ts';
import { PODS, REPLICA_SETS } from '../../api/resource-types.ts';
import type { Pod } from '../../api/types.ts';
import { World } from '../world.fake.ts';
import { countByNode, podsToDelete } from './ranking.ts';
import { replicaSetController } from './replicaset.ts';

const key = { namespace: 'default', name: 'web' };
const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [] } };

function replicaSet(replicas: number) {
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: key,
    spec: { replicas, selector: { matchLabels: { app: 'web' } }, template },
  };
}

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.stop());

const pods = () => world.client.all(PODS);
const status = async () => (await world.client.get(REPLICA_SETS, key)).status;

describe('ReplicaSet controller', () => {
  it('creates what is missing, tells of it, and then is silent', async () => {
    world.client.seed(REPLICA_SETS, replicaSet(3));
    world.start([replicaSetController]);
    await world.until(() => expect(pods()).toHaveLength(3));
    await world.setPods(() => true, { ready: true });
    await world.until(async () => expect((await status())?.readyReplicas).toBe(3));
    await world.atRest();
    expect(await status()).toMatchObject({ replicas: 3, availableReplicas: 3 });
    expect(pods().map((pod) => pod.metadata.ownerReferences?.[0])).toMatchObject([
      { kind: 'ReplicaSet', name: 'web', controller: true },
      { kind: 'ReplicaSet', name: 'web', controller: true },
      { kind: 'ReplicaSet', name: 'web', controller: true },
    ]);
    expect(world.events.lines.filter((l) => l.startsWith('Normal SuccessfulCreate'))).toHaveLength(
      3,
    );
    expect(world.client.log.filter((line) => line.startsWith('create pods'))).toHaveLength(3);
  });

  it('replaces a Pod that goes, and never counts twice while its cache is behind', async () => {
    world.client.seed(REPLICA_SETS, replicaSet(2));
    world.start([replicaSetController]);
    await world.until(() => expect(pods()).toHaveLength(2));
    const [first] = pods();
    await world.client.delete(PODS, first?.metadata ?? key);
    await world.until(() => expect(pods()).toHaveLength(2));
    await world.atRest();
    expect(pods().map((pod) => pod.metadata.uid)).not.toContain(first?.metadata.uid);
  });

  it('deletes the surplus by UID', async () => {
    const [rs] = world.client.seed(REPLICA_SETS, replicaSet(4));
    world.start([replicaSetController]);
    await world.until(() => expect(pods()).toHaveLength(4));
    await world.client.patch(REPLICA_SETS, key, { type: 'merge', body: { spec: { replicas: 1 } } });
    await world.until(() => expect(pods()).toHaveLength(1));
    const deletions = world.client.actions.filter((a) => a.verb === 'delete');
    expect(deletions).toHaveLength(3);
    expect(deletions[0]?.body).toMatchObject({ preconditions: { uid: expect.any(String) } });
    expect(rs).toBeDefined();
  });

  it('adopts orphans that match and lets go of Pods that match no more', async () => {
    const metadata = { namespace: 'default', name: 'orphan', labels: { app: 'web' } };
    world.client.seed(PODS, { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [] } });
    world.client.seed(REPLICA_SETS, replicaSet(1));
    world.start([replicaSetController]);
    await world.until(() =>
      expect(pods()[0]?.metadata.ownerReferences).toMatchObject([{ name: 'web' }]),
    );
    await world.client.patch(PODS, metadata, {
      type: 'merge',
      body: { metadata: { labels: { app: 'debug' } } },
    });
    await world.until(() => expect(pods()).toHaveLength(2));
    const left = pods().find((pod) => pod.metadata.name === 'orphan');
    expect(left?.metadata.ownerReferences ?? []).toEqual([]);
  });

  it('tells of a refusal, starts slowly, and recovers', async () => {
    const heal = world.client.react((action) =>
      action.verb === 'create'
        ? new ApiError('Forbidden', 'exceeded quota: q, requested: pods=1')
        : undefined,
    );
    world.client.seed(REPLICA_SETS, replicaSet(10));
    world.start([replicaSetController]);
    await world.until(async () =>
      expect((await status())?.conditions).toMatchObject([
        { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate' },
      ]),
    );
    expect(world.events.lines).toContain(
      'Warning FailedCreate default/web: Error creating: exceeded quota: q, requested: pods=1',
    );
    heal();
    await world.until(() => expect(pods()).toHaveLength(10));
    await world.until(async () => expect((await status())?.conditions).toBeUndefined());
  });
});

interface PodFacts {
  name: string;
  node?: string;
  phase?: string;
  ready?: boolean;
  readyFor?: number;
  cost?: string;
  restarts?: number;
}

const NOW = Date.UTC(2026, 0, 10);

function pod(facts: PodFacts): Pod {
  const {
    name,
    node,
    phase = 'Running',
    ready = true,
    readyFor = 3600,
    cost,
    restarts = 0,
  } = facts;
  const since = new Date(NOW - readyFor * 1000).toISOString();
  return {
    metadata: {
      name,
      uid: name,
      creationTimestamp: since,
      annotations: cost ? { 'controller.kubernetes.io/pod-deletion-cost': cost } : {},
    },
    spec: { nodeName: node ?? '' },
    status: {
      phase,
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: since }],
      containerStatuses: [{ restartCount: restarts }],
    },
  } as unknown as Pod;
}

describe('podsToDelete', () => {
  it.each<[string, PodFacts, PodFacts]>([
    ['an unassigned Pod', { name: 'a' }, { name: 'b', node: 'n' }],
    ['a pending Pod', { name: 'a', node: 'n', phase: 'Pending' }, { name: 'b', node: 'n' }],
    ['one that is not ready', { name: 'a', node: 'n', ready: false }, { name: 'b', node: 'n' }],
    ['the cheaper one', { name: 'a', node: 'n', cost: '-5' }, { name: 'b', node: 'n' }],
    [
      'the one ready for a shorter time',
      { name: 'a', node: 'n', readyFor: 5 },
      { name: 'b', node: 'n' },
    ],
    ['one with more restarts', { name: 'a', node: 'n', restarts: 3 }, { name: 'b', node: 'n' }],
  ])('prefers %s', (_, first, second) => {
    const options = { peersOnNode: new Map<string, number>(), now: NOW };
    expect(podsToDelete([pod(second), pod(first)], 1, options)[0]?.metadata.name).toBe('a');
  });

  it('prefers Pods on nodes with more Pods of the workload', () => {
    const all = [
      pod({ name: 'x', node: 'one' }),
      pod({ name: 'y', node: 'two' }),
      pod({ name: 'z', node: 'two' }),
    ];
    const options = { peersOnNode: countByNode(all), now: NOW };
    expect(podsToDelete(all, 1, options)[0]?.spec?.nodeName).toBe('two');
  });
});
