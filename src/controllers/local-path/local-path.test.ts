import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  NODES,
  PERSISTENT_VOLUME_CLAIMS,
  PERSISTENT_VOLUMES,
  PODS,
} from '../../api/resource-types.ts';
import { STORAGE_CLASSES } from '../../api/system-resource-types.ts';
import { volumeBinder } from '../persistent-volume/binder-controller.ts';
import { volumeProtection } from '../volume-protection/protection-controllers.ts';
import { World } from '../world.fake.ts';
import { localPathProvisioner } from './local-path-provisioner.ts';
import { isOurs, unsupported } from './volume.ts';

const key = { namespace: 'a', name: 'data' };
const claim = (accessModes = ['ReadWriteOnce'], node = 'n1') =>
  ({
    metadata: { ...key, annotations: { 'volume.kubernetes.io/selected-node': node } },
    spec: {
      accessModes,
      storageClassName: 'local-path',
      resources: { requests: { storage: '1Gi' } },
    },
    status: { phase: 'Pending' },
  }) as never;

let world: World;
beforeEach(() => {
  world = new World();
  world.client.seed(NODES, {
    metadata: { name: 'n1', labels: { 'kubernetes.io/hostname': 'n1' } },
  } as never);
});
afterEach(() => world.stop());

const pods = () => world.client.all(PODS);
const volumes = () => world.client.all(PERSISTENT_VOLUMES);
const end = (phase: string) => world.setPods(() => true, { ready: false, phase });
const start = () => world.start([localPathProvisioner, volumeBinder, volumeProtection]);

describe('local-path provisioner', () => {
  it('makes the default class', async () => {
    start();
    await world.until(() =>
      expect(world.client.all(STORAGE_CLASSES)).toMatchObject([
        {
          metadata: {
            name: 'local-path',
            annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
          },
          provisioner: 'rancher.io/local-path',
          reclaimPolicy: 'Delete',
          volumeBindingMode: 'WaitForFirstConsumer',
        },
      ]),
    );
  });

  it('makes a directory on the chosen node, binds it, and removes it with its claim', async () => {
    world.client.seed(PERSISTENT_VOLUME_CLAIMS, claim());
    start();
    await world.until(() => expect(pods()).toHaveLength(1));
    expect(volumes()).toHaveLength(0);
    const [helper] = pods();
    expect(helper?.spec).toMatchObject({ nodeName: 'n1', containers: [{ image: 'busybox' }] });
    await end('Succeeded');
    await world.until(() => expect(volumes()[0]?.status?.phase).toBe('Bound'));
    await world.until(() => expect(pods()).toHaveLength(0));
    const [volume] = volumes();
    expect(volume?.spec?.hostPath?.path).toBe(`/volumes/${volume?.metadata.name}_a_data`);
    await world.client.delete(PERSISTENT_VOLUME_CLAIMS, key);
    await world.until(() =>
      expect(pods()[0]?.spec?.containers[0]?.command?.at(-1)).toContain('rm -rf'),
    );
    expect(volumes()).toHaveLength(1);
    await end('Succeeded');
    await world.until(() => expect([volumes(), pods()]).toEqual([[], []]));
    await world.atRest();
  });

  it('tells of a helper that failed, and tries again', async () => {
    world.client.seed(PERSISTENT_VOLUME_CLAIMS, claim());
    start();
    await world.until(() => expect(pods()).toHaveLength(1));
    const [first] = pods();
    await end('Failed');
    await world.until(() => expect(pods()[0]?.metadata.uid).not.toBe(first?.metadata.uid));
    expect(
      world.events.lines.some((line) => line.startsWith('Warning ProvisioningFailed a/data')),
    ).toBe(true);
    await world.until(() => expect(pods()).toHaveLength(1));
  });

  it('has another node chosen when the chosen one is gone', async () => {
    world.client.seed(PERSISTENT_VOLUME_CLAIMS, claim(undefined, 'gone'));
    start();
    await world.until(async () => {
      const { metadata } = await world.client.get(PERSISTENT_VOLUME_CLAIMS, key);
      expect(metadata.annotations?.['volume.kubernetes.io/selected-node']).toBeUndefined();
    });
  });

  it.each([
    [{ accessModes: ['ReadWriteMany'] }, 'ReadWriteOnce'],
    [{ accessModes: ['ReadWriteOnce'], volumeMode: 'Block' }, 'block volumes'],
    [{ accessModes: ['ReadWriteOnce'], selector: {} }, 'Selector'],
  ])('refuses %j', (spec, why) => expect(unsupported({ spec } as never)).toContain(why));

  it.each(['/etc', '/volumes', '/volumes/pvc-1/../../etc', '/volumes/other'])(
    'never removes %s',
    (path) => {
      const annotations = { 'pv.kubernetes.io/provisioned-by': 'rancher.io/local-path' };
      const volume = { metadata: { annotations }, spec: { hostPath: { path } } };
      expect(isOurs(volume as never, { directory: '/volumes', image: '' })).toBe(false);
    },
  );
});
