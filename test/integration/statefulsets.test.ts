import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CONTROLLER_REVISIONS, PODS, STATEFUL_SETS } from '../../src/api/resource-types.ts';
import type { StatefulSet } from '../../src/api/types.ts';
import { eventually } from '../support/eventually.ts';
import { imagesOf, keyOf, templateOf, Workloads, workloadOf } from '../support/workloads.ts';

// What upstream's conformance tests of StatefulSets ask for, on Pods without machines.

let world: Workloads;
beforeAll(async () => {
  world = await Workloads.start();
});
afterAll(() => world?.stop());

const REVISION = 'controller-revision-hash';

async function create(name: string, spec: object = {}): Promise<void> {
  const manifest = workloadOf('StatefulSet', name, { replicas: 3, serviceName: name, ...spec });
  await world.client.create(STATEFUL_SETS, manifest as never);
}

async function revisionsOf(name: string): Promise<(string | undefined)[]> {
  return (await world.pods(name)).map(({ metadata }) => metadata.labels?.[REVISION]);
}

const updating = (set: StatefulSet) =>
  set.status?.updateRevision !== set.status?.currentRevision &&
  set.status?.observedGeneration === set.metadata.generation;

/** Names of Pods in the order in which a watch saw them come or go. */
function record(name: string): { log: string[]; stop: () => Promise<void> } {
  const log: string[] = [];
  const ending = new AbortController();
  const watching = (async () => {
    const how = { namespace: 'default', labelSelector: `app=${name}`, resourceVersion: '' };
    for await (const { type, object } of world.client.watch(PODS, how, ending.signal)) {
      if (type === 'ADDED' || type === 'DELETED') log.push(`${type} ${object.metadata.name}`);
    }
  })().catch(() => {});
  return {
    log,
    async stop() {
      ending.abort();
      await watching;
    },
  };
}

describe('a StatefulSet', () => {
  it('makes canary and phased updates by its partition', async () => {
    await create('canary', { updateStrategy: { rollingUpdate: { partition: 3 } } });
    await world.readyPods('canary', 3);
    const before = await world.until(
      STATEFUL_SETS,
      'canary',
      'one revision',
      (set) => !updating(set),
    );
    const old = before.status?.currentRevision;
    const to = (partition: number) => ({ updateStrategy: { rollingUpdate: { partition } } });
    await world.patch(STATEFUL_SETS, 'canary', {
      spec: { template: templateOf('canary', 'v2'), ...to(3) },
    });
    const changed = await world.until(STATEFUL_SETS, 'canary', 'a new revision', updating);
    const fresh = changed.status?.updateRevision;
    expect(imagesOf(await world.pods('canary'))).toEqual(['v1', 'v1', 'v1']);

    await world.patch(STATEFUL_SETS, 'canary', { spec: to(2) });
    await eventually('the canary', async () => {
      return imagesOf(await world.readyPods('canary', 3)).join() === 'v1,v1,v2';
    });
    expect(await revisionsOf('canary')).toEqual([old, old, fresh]);

    for (const ordinal of [0, 2]) await world.client.delete(PODS, keyOf(`canary-${ordinal}`));
    await eventually('what was deleted, as it was', async () => {
      await world.readyPods('canary', 3);
      return (await revisionsOf('canary')).join() === [old, old, fresh].join();
    });

    for (const [partition, images] of [
      [1, 'v1,v2,v2'],
      [0, 'v2,v2,v2'],
    ] as const) {
      await world.patch(STATEFUL_SETS, 'canary', { spec: to(partition) });
      await eventually(images, async () => {
        return imagesOf(await world.readyPods('canary', 3)).join() === images;
      });
    }
    const after = await world.until(STATEFUL_SETS, 'canary', 'completion', (set) => !updating(set));
    expect(after.status?.currentRevision).toBe(fresh);
  });

  it('rolls out and back, highest ordinal first, to the revision that it had', async () => {
    await create('back');
    await world.readyPods('back', 3);
    const first = (await world.client.get(STATEFUL_SETS, keyOf('back'))).status?.currentRevision;
    for (const image of ['v2', 'v1']) {
      await world.hold('back-1');
      await eventually('a Pod that is not ready', async () => {
        return (await world.client.get(STATEFUL_SETS, keyOf('back'))).status?.readyReplicas === 2;
      });
      const seen = record('back');
      await eventually('a watch', () => seen.log.length === 3);
      await world.patch(STATEFUL_SETS, 'back', { spec: { template: templateOf('back', image) } });
      await world.until(STATEFUL_SETS, 'back', 'a new revision', updating);
      expect(seen.log).toHaveLength(3); // nothing moves while one is not ready
      await world.free('back-1');
      await eventually(`all at ${image}`, async () => {
        return imagesOf(await world.readyPods('back', 3)).join() === [image, image, image].join();
      });
      // The watch may be a moment behind.
      await eventually('the watch has seen all', () => seen.log.length >= 9);
      await seen.stop();
      expect(seen.log.slice(3)).toEqual(
        [2, 1, 0].flatMap((n) => [`DELETED back-${n}`, `ADDED back-${n}`]),
      );
    }
    const last = await world.until(STATEFUL_SETS, 'back', 'completion', (set) => !updating(set));
    expect(last.status?.currentRevision).toBe(first);
    const { items } = await world.client.list(CONTROLLER_REVISIONS, { namespace: 'default' });
    const own = items.filter(({ metadata }) => metadata.name.startsWith('back-'));
    expect(own.find(({ metadata }) => metadata.name === first)?.revision).toBe(3);
    expect(own).toHaveLength(2);
  });

  it('scales in order, and stops where a Pod is not healthy', async () => {
    const seen = record('order');
    await create('order', { replicas: 1 });
    await world.readyPods('order', 1);
    await world.hold('order-0');
    await world.until(STATEFUL_SETS, 'order', 'nothing ready', (s) => !s.status?.readyReplicas);
    await world.patch(STATEFUL_SETS, 'order', { spec: { replicas: 3 } });
    const seenIt = (s: StatefulSet) => s.status?.observedGeneration === s.metadata.generation;
    await world.until(STATEFUL_SETS, 'order', 'its new size', seenIt);
    expect(await world.pods('order')).toHaveLength(1);
    await world.free('order-0');
    await world.readyPods('order', 3);
    await eventually('the watch has seen all', () => seen.log.length >= 3);
    expect(seen.log).toEqual([0, 1, 2].map((n) => `ADDED order-${n}`));

    const names = ['order-0', 'order-1', 'order-2'];
    for (const name of names) await world.hold(name);
    await world.until(STATEFUL_SETS, 'order', 'nothing ready', (s) => !s.status?.readyReplicas);
    await world.patch(STATEFUL_SETS, 'order', { spec: { replicas: 0 } });
    await world.until(STATEFUL_SETS, 'order', 'its new size', seenIt);
    expect(await world.pods('order')).toHaveLength(3);
    for (const name of names) await world.free(name);
    await eventually('no Pods', async () => (await world.pods('order')).length === 0);
    await eventually('the watch has seen all', () => seen.log.length >= 6);
    await seen.stop();
    expect(seen.log.slice(3)).toEqual([2, 1, 0].map((n) => `DELETED order-${n}`));
  });

  it('scales all at once with Parallel, also past unhealthy Pods', async () => {
    for (const name of ['burst-0', 'burst-1', 'burst-2']) await world.hold(name);
    await create('burst', { replicas: 1, podManagementPolicy: 'Parallel' });
    await eventually('one Pod', async () => (await world.pods('burst')).length === 1);
    await world.patch(STATEFUL_SETS, 'burst', { spec: { replicas: 3 } });
    await eventually('three Pods', async () => (await world.pods('burst')).length === 3);
    await world.free('burst-1');
    await world.patch(STATEFUL_SETS, 'burst', { spec: { replicas: 0 } });
    await eventually('no Pods', async () => (await world.pods('burst')).length === 0);
  });

  it('makes a Pod anew that was evicted or that failed', async () => {
    await create('failed', { replicas: 1 });
    const [before] = await world.readyPods('failed', 1);
    await world.patch(
      PODS,
      'failed-0',
      { status: { phase: 'Failed', reason: 'Evicted' } },
      'status',
    );
    await eventually('another Pod', async () => {
      const [after] = await world.readyPods('failed', 1);
      return after?.metadata.uid !== before?.metadata.uid;
    });
  });

  it('mounts volumes by the names of its claim templates', async () => {
    const { metadata, spec } = templateOf('claims', 'v1');
    const volumeMounts = [{ name: 'data', mountPath: '/data' }];
    const containers = spec.containers.map((container) => ({ ...container, volumeMounts }));
    const claim = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } };
    await create('claims', {
      replicas: 1,
      template: { metadata, spec: { containers } },
      volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: claim }],
    });
    const [pod] = await eventually('a Pod', async () => {
      const pods = await world.pods('claims');
      return pods.length === 1 ? pods : undefined;
    });
    expect(pod?.spec?.volumes).toContainEqual({
      name: 'data',
      persistentVolumeClaim: { claimName: 'data-claims-0' },
    });
    await expect(
      create('unclaimed', { template: { metadata, spec: { containers } } }),
    ).rejects.toThrow('volumeMounts[0].name: Not found: "data"');
  });

  it('starts at its start ordinal', async () => {
    await create('start', { replicas: 2, ordinals: { start: 3 } });
    const pods = await world.readyPods('start', 2);
    expect(pods.map(({ metadata }) => metadata.name)).toEqual(['start-3', 'start-4']);
    expect(pods[0]?.metadata.labels?.['apps.kubernetes.io/pod-index']).toBe('3');
  });

  it('updates several at a time with maxUnavailable', async () => {
    const updateStrategy = { rollingUpdate: { maxUnavailable: 2 } };
    await create('several', { updateStrategy, podManagementPolicy: 'Parallel' });
    await world.readyPods('several', 3);
    for (const name of ['several-2', 'several-1']) await world.hold(name);
    await world.until(STATEFUL_SETS, 'several', 'one ready', (s) => s.status?.readyReplicas === 1);
    await world.patch(STATEFUL_SETS, 'several', {
      spec: { template: templateOf('several', 'v2') },
    });
    await eventually('two of the new image', async () => {
      return imagesOf(await world.pods('several')).join() === 'v1,v2,v2';
    });
    for (const name of ['several-2', 'several-1']) await world.free(name);
    await eventually('all of the new image', async () => {
      return imagesOf(await world.readyPods('several', 3)).join() === 'v2,v2,v2';
    });
  });

  it('has a scale that can be read, replaced and patched', async () => {
    await create('scale', { replicas: 1 });
    await world.readyPods('scale', 1);
    const path = '/apis/apps/v1/namespaces/default/statefulsets/scale/scale';
    expect(await world.rescale(path, 2)).toMatchObject({
      kind: 'Scale',
      spec: { replicas: 1 },
      status: { replicas: 1 },
    });
    await world.readyPods('scale', 2);
    expect((await world.client.get(STATEFUL_SETS, keyOf('scale'))).spec?.replicas).toBe(2);
    await world.patch(STATEFUL_SETS, 'scale', { spec: { replicas: 4 } }, 'scale');
    await world.readyPods('scale', 4);
  });

  it('keeps a condition that somebody else writes into its status', async () => {
    await create('status', { replicas: 1 });
    await world.readyPods('status', 1);
    const condition = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'Set' };
    const get = () => world.client.get(STATEFUL_SETS, keyOf('status'));
    await eventually('a written status', async () => {
      const set = await get();
      const status = { ...set.status, replicas: 1, conditions: [condition] } as never;
      await world.client.update(STATEFUL_SETS, { ...set, status }, { subresource: 'status' });
      return true;
    });
    await world.patch(STATEFUL_SETS, 'status', { spec: { replicas: 2 } });
    await world.readyPods('status', 2);
    const { status } = await world.until(
      STATEFUL_SETS,
      'status',
      'two ready',
      (set) => set.status?.readyReplicas === 2,
    );
    expect(status?.conditions).toMatchObject([condition]);
  });

  it('goes with a collection, and its Pods with it', async () => {
    await create('listed', { replicas: 1 });
    await world.readyPods('listed', 1);
    const path = '/apis/apps/v1/namespaces/default/statefulsets?labelSelector=app%3Dlisted';
    const list = (await world.client.raw('GET', path)) as { items: object[] };
    expect(list.items).toHaveLength(1);
    await world.client.raw('DELETE', path);
    await eventually('no Pods', async () => (await world.pods('listed')).length === 0);
  });
});

it('needs no more than the rights of its controllers', async () => {
  expect(await world.refusals()).toEqual([]);
});
