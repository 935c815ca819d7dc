import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES } from '../../api/resource-types.ts';
import { STORAGE_CLASSES } from '../../api/system-resource-types.ts';
import { World } from '../world.fake.ts';
import { volumeBinder } from './binder-controller.ts';

const claimKey = { namespace: 'a', name: 'data' };
const volumeKey = (name: string) => ({ namespace: '', name });

const claim = (spec: object = {}, name = 'data') =>
  ({
    metadata: { namespace: 'a', name },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
    status: { phase: 'Pending' },
  }) as never;
const volume = (name: string, storage: string, spec: object = {}) =>
  ({
    metadata: { name },
    spec: {
      accessModes: ['ReadWriteOnce'],
      capacity: { storage },
      persistentVolumeReclaimPolicy: 'Retain',
      ...spec,
    },
    status: { phase: 'Pending' },
  }) as never;
const storageClass = (name: string, fields: object = {}) =>
  ({ metadata: { name }, provisioner: 'x.io/maker', ...fields }) as never;

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.stop());

const theClaim = (key = claimKey) => world.client.get(PERSISTENT_VOLUME_CLAIMS, key);
const theVolume = (name: string) => world.client.get(PERSISTENT_VOLUMES, volumeKey(name));
const phases = async (name: string) => [
  (await theClaim()).status?.phase,
  (await theVolume(name)).status?.phase,
];

describe('volume binder', () => {
  it('binds a claim to the smallest volume that is large enough, in four writes, and then is silent', async () => {
    world.client.seed(
      PERSISTENT_VOLUMES,
      volume('big', '10Gi'),
      volume('fit', '2Gi'),
      volume('small', '1Mi'),
    );
    world.start([volumeBinder]);
    await world.until(async () =>
      expect((await theVolume('small')).status?.phase).toBe('Available'),
    );
    await world.atRest();
    const before = world.client.actions.length;
    await world.client.create(PERSISTENT_VOLUME_CLAIMS, claim());
    await world.until(async () => expect(await phases('fit')).toEqual(['Bound', 'Bound']));
    await world.atRest();
    expect(world.client.actions.length - before - 1).toBe(4);
    expect(await theClaim()).toMatchObject({
      metadata: {
        annotations: {
          'pv.kubernetes.io/bind-completed': 'yes',
          'pv.kubernetes.io/bound-by-controller': 'yes',
        },
      },
      spec: { volumeName: 'fit' },
      status: { accessModes: ['ReadWriteOnce'], capacity: { storage: '2Gi' } },
    });
    expect((await theVolume('fit')).spec?.claimRef).toMatchObject({
      namespace: 'a',
      name: 'data',
      kind: 'PersistentVolumeClaim',
    });
  });

  it('never gives one volume to two claims', async () => {
    world.client.seed(PERSISTENT_VOLUMES, volume('one', '1Gi'), volume('two', '1Gi'));
    for (let i = 0; i < 4; i++) world.client.seed(PERSISTENT_VOLUME_CLAIMS, claim({}, `data-${i}`));
    world.start([volumeBinder]);
    await world.until(() => {
      const bound = world.client
        .all(PERSISTENT_VOLUME_CLAIMS)
        .filter((c) => c.status?.phase === 'Bound');
      expect(new Set(bound.map((c) => c.spec?.volumeName))).toEqual(new Set(['one', 'two']));
      expect(bound).toHaveLength(2);
    });
  });

  it('waits for the first consumer, and asks the provisioner when a node is chosen', async () => {
    world.client.seed(
      STORAGE_CLASSES,
      storageClass('late', { volumeBindingMode: 'WaitForFirstConsumer' }),
    );
    world.client.seed(PERSISTENT_VOLUME_CLAIMS, claim({ storageClassName: 'late' }));
    world.start([volumeBinder]);
    await world.until(() =>
      expect(world.events.lines).toContain(
        'Normal WaitForFirstConsumer a/data: waiting for first consumer to be created before binding',
      ),
    );
    const annotations = { 'volume.kubernetes.io/selected-node': 'n1' };
    await world.client.patch(PERSISTENT_VOLUME_CLAIMS, claimKey, {
      type: 'merge',
      body: { metadata: { annotations } },
    });
    await world.until(async () =>
      expect((await theClaim()).metadata.annotations).toMatchObject({
        'volume.kubernetes.io/storage-provisioner': 'x.io/maker',
        'volume.beta.kubernetes.io/storage-provisioner': 'x.io/maker',
      }),
    );
    expect(world.events.lines.at(-1)).toContain("external provisioner 'x.io/maker'");
  });

  it('gives a claim without a class the default class, once there is one', async () => {
    world.client.seed(PERSISTENT_VOLUME_CLAIMS, claim());
    world.start([volumeBinder]);
    await world.until(() =>
      expect(world.events.lines[0]).toBe(
        'Normal FailedBinding a/data: no persistent volumes available for this claim and no storage class is set',
      ),
    );
    const annotations = { 'storageclass.kubernetes.io/is-default-class': 'true' };
    await world.client.create(STORAGE_CLASSES, {
      metadata: { name: 'std', annotations },
      provisioner: 'x.io/maker',
    } as never);
    await world.until(async () => expect((await theClaim()).spec?.storageClassName).toBe('std'));
  });

  it('refuses a named volume that does not fit, or belongs to another claim', async () => {
    const claimRef = { namespace: 'b', name: 'other', uid: 'u' };
    world.client.seed(
      PERSISTENT_VOLUMES,
      volume('small', '1Mi'),
      volume('taken', '1Gi', { claimRef }),
    );
    world.client.seed(
      PERSISTENT_VOLUME_CLAIMS,
      claim({ volumeName: 'small' }),
      claim({ volumeName: 'taken' }, 'second'),
    );
    world.start([volumeBinder]);
    await world.until(() =>
      expect(world.events.lines).toEqual(
        expect.arrayContaining([
          'Warning VolumeMismatch a/data: Cannot bind to requested volume "small": requested PV is too small',
          'Warning FailedBinding a/second: volume "taken" already bound to a different claim.',
        ]),
      ),
    );
  });

  it('releases the volume of a claim that goes, and tells a claim that its volume is lost', async () => {
    world.client.seed(PERSISTENT_VOLUMES, volume('one', '1Gi'));
    world.client.seed(PERSISTENT_VOLUME_CLAIMS, claim());
    world.start([volumeBinder]);
    await world.until(async () => expect(await phases('one')).toEqual(['Bound', 'Bound']));
    await world.client.delete(PERSISTENT_VOLUME_CLAIMS, claimKey);
    await world.until(async () => expect((await theVolume('one')).status?.phase).toBe('Released'));
    const bound = claim({ volumeName: 'gone' }, 'lost') as { metadata: { annotations?: object } };
    bound.metadata.annotations = { 'pv.kubernetes.io/bind-completed': 'yes' };
    await world.client.create(PERSISTENT_VOLUME_CLAIMS, bound as never);
    await world.until(async () =>
      expect((await theClaim({ namespace: 'a', name: 'lost' })).status?.phase).toBe('Lost'),
    );
    expect(world.events.lines).toContain(
      'Warning ClaimLost a/lost: Bound claim has lost its PersistentVolume. Data on the volume is lost!',
    );
  });

  it('says what it cannot delete or recycle', async () => {
    const claimRef = { namespace: 'a', name: 'gone', uid: 'u' };
    const policy = (persistentVolumeReclaimPolicy: string) => ({
      claimRef,
      persistentVolumeReclaimPolicy,
    });
    world.client.seed(
      PERSISTENT_VOLUMES,
      volume('d', '1Gi', policy('Delete')),
      volume('r', '1Gi', policy('Recycle')),
    );
    world.start([volumeBinder]);
    await world.until(async () => {
      expect((await theVolume('d')).status?.phase).toBe('Failed');
      expect((await theVolume('r')).status?.phase).toBe('Failed');
    });
    expect(world.events.lines.map((line) => line.split(' ')[1]).sort()).toEqual([
      'VolumeFailedDelete',
      'VolumeFailedRecycle',
    ]);
  });
});
