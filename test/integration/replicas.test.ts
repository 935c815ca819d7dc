import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { controllerOf } from '../../src/api/owner-references.ts';
import {
  DEPLOYMENTS,
  PODS,
  REPLICA_SETS,
  REPLICATION_CONTROLLERS,
  RESOURCE_QUOTAS,
} from '../../src/api/resource-types.ts';
import type { ReplicaSet, ReplicationController } from '../../src/api/types.ts';
import { eventually } from '../support/eventually.ts';
import { HELD, imagesOf, keyOf, templateOf, Workloads, workloadOf } from '../support/workloads.ts';

// What upstream's conformance tests of Deployments, ReplicaSets and ReplicationControllers ask for.

let world: Workloads;
beforeAll(async () => {
  world = await Workloads.start();
});
afterAll(() => world?.stop());

const REVISION = 'deployment.kubernetes.io/revision';

const createDeployment = (name: string, spec: object) =>
  world.client.create(DEPLOYMENTS, workloadOf('Deployment', name, spec) as never);
const createReplicaSet = (name: string, spec: object) =>
  world.client.create(REPLICA_SETS, workloadOf('ReplicaSet', name, spec) as never);
const setsOf = async (app: string) => {
  const where = { namespace: 'default', labelSelector: `app=${app}` };
  const { items } = await world.client.list(REPLICA_SETS, where);
  return items.sort((a, b) => Number(revisionOf(a)) - Number(revisionOf(b)));
};
const revisionOf = ({ metadata }: ReplicaSet) => metadata.annotations?.[REVISION];
const sizes = async (app: string) => (await setsOf(app)).map(({ spec }) => spec?.replicas);
const settled = (name: string, count: number) =>
  world.until(DEPLOYMENTS, name, `${count} updated and available`, ({ status, metadata }) => {
    const { updatedReplicas = 0, availableReplicas = 0, replicas = 0 } = status ?? {};
    const seen = status?.observedGeneration === metadata.generation;
    return seen && [updatedReplicas, availableReplicas, replicas].every((n) => n === count);
  });

describe('a Deployment', () => {
  it('takes over a ReplicaSet, replaces its Pods, and counts on from its revision', async () => {
    const annotations = { [REVISION]: '3546343826724305832' };
    const manifest = workloadOf('ReplicaSet', 'old', {
      selector: { matchLabels: { app: 'rolling' } },
      template: templateOf('rolling', 'v0'),
    });
    const metadata = { ...manifest.metadata, labels: { app: 'rolling' }, annotations };
    await world.client.create(REPLICA_SETS, { ...manifest, metadata } as never);
    await world.readyPods('rolling', 1);
    await createDeployment('rolling', { replicas: 1 });
    const { metadata: after } = await settled('rolling', 1);
    expect(after.annotations?.[REVISION]).toBe('3546343826724305833');
    expect(imagesOf(await world.readyPods('rolling', 1))).toEqual(['v1']);
    const sets = await setsOf('rolling');
    expect(sets.map((set) => controllerOf(set)?.name)).toEqual(['rolling', 'rolling']);
  });

  it('with Recreate runs no new Pod beside an old one', async () => {
    await createDeployment('recreate', { replicas: 2, strategy: { type: 'Recreate' } });
    await settled('recreate', 2);
    const images = new Set<string>();
    const ending = new AbortController();
    const watching = (async () => {
      const how = { namespace: 'default', labelSelector: 'app=recreate', resourceVersion: '' };
      const there = new Map<string, string | undefined>();
      for await (const { type, object } of world.client.watch(PODS, how, ending.signal)) {
        if (type === 'DELETED') there.delete(object.metadata.uid);
        else there.set(object.metadata.uid, object.spec?.containers[0]?.image);
        images.add([...new Set(there.values())].join());
      }
    })().catch(() => {});
    await eventually('a watch', () => images.has('v1'));
    await world.patch(DEPLOYMENTS, 'recreate', {
      spec: { template: templateOf('recreate', 'v2') },
    });
    await settled('recreate', 2);
    await eventually('the watch has seen it', () => images.has('v2'));
    ending.abort();
    await watching;
    expect([...images]).toEqual(['v1', '', 'v2']);
  });

  it('deletes old ReplicaSets beyond its history', async () => {
    const manifest = workloadOf('ReplicaSet', 'history-old', {
      selector: { matchLabels: { app: 'history' } },
      template: templateOf('history', 'v0'),
    });
    const metadata = { ...manifest.metadata, labels: { app: 'history' } };
    await world.client.create(REPLICA_SETS, { ...manifest, metadata } as never);
    await world.readyPods('history', 1);
    await createDeployment('history', { replicas: 1, revisionHistoryLimit: 0 });
    await eventually('the old one gone', async () => {
      return !(await world.client.list(REPLICA_SETS, { namespace: 'default' })).items.some(
        ({ metadata }) => metadata.name === 'history-old',
      );
    });
    expect(await setsOf('history')).toHaveLength(1);
  });

  it('rolls over a rollout that has not ended', async () => {
    const strategy = { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } };
    await createDeployment('rollover', { replicas: 1, strategy });
    await settled('rollover', 1);
    const stuck = templateOf('rollover', 'stuck', { [HELD]: '' });
    await world.patch(DEPLOYMENTS, 'rollover', { spec: { template: stuck } });
    await eventually('a second ReplicaSet', async () => (await sizes('rollover')).join() === '1,1');
    const { spec } = templateOf('rollover', 'v3');
    const template = { metadata: { labels: { [HELD]: null } }, spec };
    await world.patch(DEPLOYMENTS, 'rollover', { spec: { template } });
    await settled('rollover', 1);
    expect(await sizes('rollover')).toEqual([0, 0, 1]);
    expect(imagesOf(await world.readyPods('rollover', 1))).toEqual(['v3']);
  });

  it('scales in proportion in the middle of a rollout', async () => {
    const strategy = { rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } };
    await createDeployment('proportion', { replicas: 10, strategy });
    await settled('proportion', 10);
    const stuck = templateOf('proportion', 'stuck', { [HELD]: '' });
    await world.patch(DEPLOYMENTS, 'proportion', { spec: { template: stuck } });
    await eventually('8 old and 5 new', async () => (await sizes('proportion')).join() === '8,5');
    await world.until(DEPLOYMENTS, 'proportion', 'its status', ({ status, metadata }) => {
      const { availableReplicas, updatedReplicas, observedGeneration } = status ?? {};
      const seen = observedGeneration === metadata.generation;
      return seen && availableReplicas === 8 && updatedReplicas === 5;
    });
    await world.patch(DEPLOYMENTS, 'proportion', { spec: { replicas: 30 } });
    await eventually('20 and 13', async () => (await sizes('proportion')).join() === '20,13');
    await world.patch(DEPLOYMENTS, 'proportion', { spec: { replicas: 5 } });
    await eventually('5 + 3 Pods', async () => {
      const found = await sizes('proportion');
      return found.reduce<number>((sum, n) => sum + (n ?? 0), 0) === 8;
    });
  });

  it('waits while it is paused, and tells when it stands still', async () => {
    await createDeployment('paused', { replicas: 1, progressDeadlineSeconds: 1 });
    await settled('paused', 1);
    await world.kubectl('rollout', 'pause', 'deployment/paused');
    await world.kubectl('set', 'image', 'deployment/paused', 'c=v2');
    const reason = (wanted: string) =>
      world.until(DEPLOYMENTS, 'paused', wanted, ({ status }) =>
        status?.conditions?.some((c) => c.type === 'Progressing' && c.reason === wanted),
      );
    await reason('DeploymentPaused');
    expect(await sizes('paused')).toEqual([1]);
    await world.kubectl('rollout', 'resume', 'deployment/paused');
    await settled('paused', 1);
    const stuck = templateOf('paused', 'stuck', { [HELD]: '' });
    await world.patch(DEPLOYMENTS, 'paused', { spec: { template: stuck } });
    await reason('ProgressDeadlineExceeded');
    await expect(
      world.kubectl('rollout', 'status', 'deployment/paused', '--timeout=120s'),
    ).rejects.toThrow('exceeded its progress deadline');
  });

  it('has a scale, and a status that others may write to', async () => {
    await createDeployment('status', { replicas: 1 });
    await settled('status', 1);
    const path = '/apis/apps/v1/namespaces/default/deployments/status/scale';
    await world.rescale(path, 2);
    await settled('status', 2);
    // Other changes at the same time are no conflicts of a patch.
    const patches = Array.from({ length: 20 }, (_, i) =>
      i % 2 === 0
        ? world.patch(DEPLOYMENTS, 'status', { spec: { replicas: 2 } }, 'scale')
        : world.patch(DEPLOYMENTS, 'status', { metadata: { annotations: { i: String(i) } } }),
    );
    await Promise.all(patches);
    const condition = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'Set' };
    await eventually('a written status', async () => {
      const found = await world.client.get(DEPLOYMENTS, keyOf('status'));
      const conditions = [...(found.status?.conditions ?? []), condition];
      const changed = { ...found, status: { ...found.status, conditions } } as never;
      await world.client.update(DEPLOYMENTS, changed, { subresource: 'status' });
      return true;
    });
    await world.patch(DEPLOYMENTS, 'status', { spec: { replicas: 3 } });
    const { status } = await settled('status', 3);
    const kept = status?.conditions?.find(({ type }) => type === 'StatusUpdate');
    expect(kept).toMatchObject(condition);
  });

  it('goes with a collection, and all that is below it', async () => {
    await createDeployment('swept', { replicas: 2 });
    await settled('swept', 2);
    const query = 'labelSelector=app%3Dswept';
    await world.client.raw('DELETE', `/apis/apps/v1/namespaces/default/deployments?${query}`);
    await eventually('nothing', async () => {
      return (await world.pods('swept')).length + (await setsOf('swept')).length === 0;
    });
  });
});

describe('a ReplicaSet', () => {
  it('adopts Pods that match, and releases those that match no more', async () => {
    const pod = { apiVersion: 'v1', kind: 'Pod', ...templateOf('adopt', 'v1') };
    const metadata = { ...pod.metadata, ...keyOf('adopted') };
    await world.client.create(PODS, { ...pod, metadata } as never);
    await createReplicaSet('adopt', { replicas: 1 });
    await world.until(PODS, 'adopted', 'owned', (one) => controllerOf(one)?.name === 'adopt');
    expect(await world.readyPods('adopt', 1)).toHaveLength(1);
    await world.patch(PODS, 'adopted', { metadata: { labels: { app: 'free' } } });
    await world.until(PODS, 'adopted', 'released', (one) => controllerOf(one) === undefined);
    await world.readyPods('adopt', 1);
  });

  it('can be replaced, patched, scaled and swept', async () => {
    await createReplicaSet('set', { replicas: 1 });
    await world.readyPods('set', 1);
    await world.patch(REPLICA_SETS, 'set', { metadata: { labels: { patched: 'true' } } });
    await world.patch(REPLICA_SETS, 'set', { spec: { replicas: 3 } });
    await world.readyPods('set', 3);
    await world.patch(REPLICA_SETS, 'set', { spec: { replicas: 2 } }, 'scale');
    await world.readyPods('set', 2);
    const condition = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'Set' };
    await world.patch(REPLICA_SETS, 'set', { status: { conditions: [condition] } }, 'status');
    await world.patch(REPLICA_SETS, 'set', { spec: { replicas: 1 } });
    const { status } = await world.until(
      REPLICA_SETS,
      'set',
      'one ready',
      (set) => set.status?.readyReplicas === 1,
    );
    expect(status?.conditions).toMatchObject([condition]);
    const query = 'labelSelector=app%3Dset';
    await world.client.raw('DELETE', `/apis/apps/v1/namespaces/default/replicasets?${query}`);
    await eventually('nothing', async () => (await world.pods('set')).length === 0);
  });
});

describe('a ReplicationController', () => {
  const create = (name: string, spec: object = {}) =>
    world.client.create(REPLICATION_CONTROLLERS, {
      apiVersion: 'v1',
      kind: 'ReplicationController',
      metadata: { ...keyOf(name), labels: { app: name } },
      spec: { replicas: 1, selector: { app: name }, template: templateOf(name, 'v1'), ...spec },
    } as never);

  it('lives through creation, patches, its scale and deletion', async () => {
    await create('rc');
    await world.readyPods('rc', 1);
    await world.patch(REPLICATION_CONTROLLERS, 'rc', { metadata: { labels: { patched: 'yes' } } });
    await world.patch(REPLICATION_CONTROLLERS, 'rc', { status: { readyReplicas: 0 } }, 'status');
    await world.until(REPLICATION_CONTROLLERS, 'rc', 'its true status again', (rc) => {
      return rc.status?.readyReplicas === 1;
    });
    const path = '/api/v1/namespaces/default/replicationcontrollers/rc/scale';
    const before = await world.rescale(path, 2);
    expect(before).toMatchObject({ spec: { replicas: 1 }, status: { selector: 'app=rc' } });
    await world.readyPods('rc', 2);
    const query = 'labelSelector=app%3Drc';
    await world.client.raw('DELETE', `/api/v1/namespaces/default/replicationcontrollers?${query}`);
    await eventually('nothing', async () => (await world.pods('rc')).length === 0);
  });

  it('adopts, and releases', async () => {
    const pod = { apiVersion: 'v1', kind: 'Pod', ...templateOf('rc-adopt', 'v1') };
    const metadata = { ...pod.metadata, ...keyOf('rc-adopted') };
    await world.client.create(PODS, { ...pod, metadata } as never);
    await create('rc-adopt');
    await world.until(PODS, 'rc-adopted', 'owned', (one) => controllerOf(one)?.name === 'rc-adopt');
    await world.patch(PODS, 'rc-adopted', { metadata: { labels: { app: 'free' } } });
    await world.until(PODS, 'rc-adopted', 'released', (one) => controllerOf(one) === undefined);
  });

  it('tells that a quota is exceeded, and that it is over', async () => {
    const namespace = 'rc-quota';
    const where = { namespace, name: 'rc' };
    const { client } = world;
    await client.raw('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
    await client.create(RESOURCE_QUOTAS, {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { namespace, name: 'q' },
      spec: { hard: { pods: '2' } },
    });
    await eventually('a counted quota', async () => {
      const quota = await client.get(RESOURCE_QUOTAS, { namespace, name: 'q' });
      return quota.status?.hard?.pods === '2';
    });
    await client.create(REPLICATION_CONTROLLERS, {
      apiVersion: 'v1',
      kind: 'ReplicationController',
      metadata: where,
      spec: { replicas: 3, selector: { app: 'q' }, template: templateOf('q', 'v1') },
    } as never);
    const told = (rc: ReplicationController) =>
      rc.status?.conditions?.find(({ type }) => type === 'ReplicaFailure');
    await eventually('a condition', async () => {
      return told(await client.get(REPLICATION_CONTROLLERS, where))?.message?.includes('quota: q');
    });
    const body = { spec: { replicas: 2 } };
    await client.patch(REPLICATION_CONTROLLERS, where, { type: 'merge', body });
    await eventually('no condition', async () => {
      return told(await client.get(REPLICATION_CONTROLLERS, where)) === undefined;
    });
  });
});
