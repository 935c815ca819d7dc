import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  CONTROLLER_REVISIONS,
  PERSISTENT_VOLUME_CLAIMS,
  PODS,
  type ResourceType,
  STATEFUL_SETS,
} from '../../api/resource-types.ts';
import type { OwnerReference, PersistentVolumeClaim, Pod, StatefulSet } from '../../api/types.ts';
import { World } from '../world.fake.ts';
import { claimOwners } from './claims.ts';
import { statefulSetController } from './statefulset-controller.ts';

const key = { namespace: 'default', name: 'db' };
const labels = { app: 'db' };
const KEEP = undefined;

const setOf = (spec: object) =>
  ({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { ...key, uid: 'set', generation: 1 },
    spec: {
      replicas: 1,
      serviceName: 'db',
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'v1' }] } },
      ...spec,
    },
  }) as unknown as StatefulSet;
const reference = (kind: string, name: string, uid: string) => ({
  ...{ apiVersion: kind === 'Pod' ? 'v1' : 'apps/v1', kind, name, uid },
  ...{ controller: true, blockOwnerDeletion: true },
});
const ofSet = reference('StatefulSet', 'db', 'set');
const ofPod = (ordinal: number, uid = 'pod') => reference('Pod', `db-${ordinal}`, uid);

describe('claimOwners', () => {
  const owners = (policy: object | undefined, ordinal: number, before: OwnerReference[]) => {
    const set = setOf(policy ? { persistentVolumeClaimRetentionPolicy: policy } : {});
    const pod = { metadata: { name: `db-${ordinal}`, uid: 'pod' } } as unknown as Pod;
    const claim = { metadata: { ownerReferences: before } } as unknown as PersistentVolumeClaim;
    return claimOwners(set, pod, claim);
  };
  const policy = (whenDeleted: string, whenScaled: string) => ({ whenDeleted, whenScaled });
  const stranger = { ...ofSet, kind: 'Backup', uid: 'b', controller: false };

  it.each<[string, object | undefined, number, OwnerReference[], OwnerReference[] | undefined]>([
    ['nobody by default', undefined, 0, [], KEEP],
    ['nobody any more', policy('Retain', 'Retain'), 0, [ofSet], []],
    ['the set', policy('Delete', 'Retain'), 0, [], [ofSet]],
    ['the set, as before', policy('Delete', 'Retain'), 0, [ofSet], KEEP],
    ['the set, also of a Pod too many', policy('Delete', 'Retain'), 1, [], [ofSet]],
    ['nobody while the Pod is wanted', policy('Retain', 'Delete'), 0, [ofPod(0)], []],
    ['the Pod that is too many', policy('Retain', 'Delete'), 1, [], [ofPod(1)]],
    ['the Pod rather than the set', policy('Delete', 'Delete'), 1, [ofSet], [ofPod(1)]],
    ['the set again', policy('Delete', 'Delete'), 0, [ofPod(0)], [ofSet]],
    ['others beside the set', policy('Delete', 'Retain'), 0, [stranger], [stranger, ofSet]],
    [
      'another controller alone',
      policy('Delete', 'Delete'),
      0,
      [{ ...stranger, controller: true }],
      KEEP,
    ],
  ])('%s', (...[, how, ordinal, before, wanted]) => {
    expect(owners(how, ordinal, before)).toEqual(wanted);
  });
});

describe('StatefulSet controller', () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });
  afterEach(() => world.stop());
  const claims = () =>
    world.client.all(PERSISTENT_VOLUME_CLAIMS).map(({ metadata }) => ({
      name: metadata.name,
      owners: (metadata.ownerReferences ?? []).map(({ kind, name }) => `${kind}/${name}`),
    }));
  const patch = (spec: object) =>
    world.client.patch(STATEFUL_SETS, key, { type: 'merge', body: { spec } });

  it('changes the owners of its claims with its policy, and with its size', async () => {
    const volumeClaimTemplates = [{ metadata: { name: 'data' }, spec: {} }];
    const all = { podManagementPolicy: 'Parallel', replicas: 2, volumeClaimTemplates };
    world.client.seed(STATEFUL_SETS, setOf(all) as never);
    world.start([statefulSetController]);
    await world.until(() =>
      expect(claims()).toEqual([
        { name: 'data-db-0', owners: [] },
        { name: 'data-db-1', owners: [] },
      ]),
    );
    await patch({
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Delete' },
    });
    await world.until(() =>
      expect(claims().map(({ owners }) => owners)).toEqual([
        ['StatefulSet/db'],
        ['StatefulSet/db'],
      ]),
    );
    await patch({ replicas: 1 });
    await world.until(() => expect(claims()[1]?.owners).toEqual(['Pod/db-1']));
    await world.until(() => expect(world.client.all(PODS)).toHaveLength(1));
  });

  it('waits with a Pod whose claim goes with an earlier one of its name', async () => {
    const ownerReferences = [ofPod(0, 'earlier')];
    world.client.seed(PERSISTENT_VOLUME_CLAIMS, {
      metadata: { namespace: 'default', name: 'data-db-0', ownerReferences },
    } as never);
    const volumeClaimTemplates = [{ metadata: { name: 'data' }, spec: {} }];
    world.client.seed(STATEFUL_SETS, setOf({ volumeClaimTemplates }) as never);
    world.start([statefulSetController]);
    await world.until(() => expect(world.client.all(CONTROLLER_REVISIONS)).toHaveLength(1));
    await world.atRest();
    expect(world.client.all(PODS)).toEqual([]);
    await world.client.delete(PERSISTENT_VOLUME_CLAIMS, {
      namespace: 'default',
      name: 'data-db-0',
    });
    await world.until(() => expect(world.client.all(PODS)).toHaveLength(1));
  });

  it('takes over Pods and history that an earlier set of its name left, and restarts nothing', async () => {
    world.client.seed(STATEFUL_SETS, setOf({}) as never);
    world.start([statefulSetController]);
    await world.until(() => expect(world.client.all(PODS)).toHaveLength(1));
    await world.setPods(() => true, { ready: true });
    const before = world.client.all(PODS)[0]?.metadata.uid;
    await world.client.delete(STATEFUL_SETS, key);
    for (const type of [PODS, CONTROLLER_REVISIONS] as ResourceType<Pod>[]) {
      for (const object of world.client.all(type)) {
        const { ownerReferences: _, ...metadata } = object.metadata;
        await world.client.update(type, { ...object, metadata } as Pod);
      }
    }
    const again = setOf({});
    world.client.seed(STATEFUL_SETS, {
      ...again,
      metadata: { ...again.metadata, uid: 'second' },
    } as never);
    await world.until(async () =>
      expect((await world.client.get(STATEFUL_SETS, key)).status?.readyReplicas).toBe(1),
    );
    await world.atRest();
    expect(world.client.all(PODS).map(({ metadata }) => metadata.uid)).toEqual([before]);
    const revisions = world.client.all(CONTROLLER_REVISIONS);
    expect(revisions.map(({ metadata }) => metadata.ownerReferences?.[0]?.uid)).toEqual(['second']);
  });
});
