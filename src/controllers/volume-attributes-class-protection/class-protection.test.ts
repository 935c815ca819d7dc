import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES } from '../../api/resource-types.ts';
import { VOLUME_ATTRIBUTES_CLASSES } from '../../api/system-resource-types.ts';
import { World } from '../world.fake.ts';
import { attributesClassProtection } from './class-protection.ts';

const key = { namespace: '', name: 'gold' };
const claimKey = { namespace: 'a', name: 'data' };
let world: World;
beforeEach(() => {
  world = new World();
  world.client.seed(VOLUME_ATTRIBUTES_CLASSES, { metadata: key, driverName: 'd.io' } as never);
});
afterEach(() => world.stop());
const classes = () => world.client.all(VOLUME_ATTRIBUTES_CLASSES);

async function deleteHeld(): Promise<void> {
  world.start([attributesClassProtection]);
  await world.until(() =>
    expect(classes()[0]?.metadata.finalizers).toEqual(['kubernetes.io/vac-protection']),
  );
  await world.client.delete(VOLUME_ATTRIBUTES_CLASSES, key);
  await world.atRest();
}

describe('protection of classes of volume attributes', () => {
  it('lets one go that nobody uses', async () => {
    await deleteHeld();
    expect(classes()).toEqual([]);
  });

  it.each<[string, object]>([
    ['asks for it', { spec: { volumeAttributesClassName: 'gold' } }],
    ['has it', { spec: {}, status: { currentVolumeAttributesClassName: 'gold' } }],
    [
      'is on the way to it',
      { spec: {}, status: { modifyVolumeStatus: { targetVolumeAttributesClassName: 'gold' } } },
    ],
  ])('keeps one while a claim %s', async (_, claim) => {
    world.client.seed(PERSISTENT_VOLUME_CLAIMS, { metadata: claimKey, ...claim } as never);
    await deleteHeld();
    expect(classes()).toHaveLength(1);
    await world.client.delete(PERSISTENT_VOLUME_CLAIMS, claimKey);
    await world.until(() => expect(classes()).toEqual([]));
  });

  it('keeps one while a volume has it', async () => {
    const spec = { volumeAttributesClassName: 'gold' };
    world.client.seed(PERSISTENT_VOLUMES, { metadata: { name: 'v' }, spec } as never);
    await deleteHeld();
    expect(classes()).toHaveLength(1);
    const body = { spec: { volumeAttributesClassName: 'silver' } };
    await world.client.patch(
      PERSISTENT_VOLUMES,
      { namespace: '', name: 'v' },
      { type: 'merge', body },
    );
    await world.until(() => expect(classes()).toEqual([]));
  });
});
