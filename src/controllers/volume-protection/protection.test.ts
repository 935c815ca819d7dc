import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS } from '../../api/resource-types.ts';
import { World } from '../world.fake.ts';
import { claimProtection, volumeProtection } from './protection-controllers.ts';

const key = { namespace: 'a', name: 'data' };
const pod = (nodeName?: string) =>
  ({
    metadata: { namespace: 'a', name: 'p' },
    spec: {
      containers: [],
      ...(nodeName ? { nodeName } : {}),
      volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }],
    },
  }) as never;

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.stop());
const claims = () => world.client.all(PERSISTENT_VOLUME_CLAIMS);

describe('claim protection', () => {
  it('keeps a claim while a Pod on a node uses it', async () => {
    world.client.seed(PERSISTENT_VOLUME_CLAIMS, { metadata: key } as never);
    world.client.seed(PODS, pod('n1'));
    world.start([claimProtection]);
    await world.until(() =>
      expect(claims()[0]?.metadata.finalizers).toEqual(['kubernetes.io/pvc-protection']),
    );
    await world.client.delete(PERSISTENT_VOLUME_CLAIMS, key);
    await world.atRest();
    expect(claims()).toHaveLength(1);
    await world.client.delete(PODS, { namespace: 'a', name: 'p' }, { gracePeriodSeconds: 0 });
    await world.until(() => expect(claims()).toHaveLength(0));
  });

  it('lets it go when the Pod has no node yet', async () => {
    world.client.seed(PERSISTENT_VOLUME_CLAIMS, { metadata: key } as never);
    world.client.seed(PODS, pod());
    world.start([claimProtection]);
    await world.until(() => expect(claims()[0]?.metadata.finalizers).toHaveLength(1));
    await world.client.delete(PERSISTENT_VOLUME_CLAIMS, key);
    await world.until(() => expect(claims()).toHaveLength(0));
  });
});

describe('volume protection', () => {
  it('keeps a volume while it is bound', async () => {
    const volumeKey = { namespace: '', name: 'v' };
    world.client.seed(PERSISTENT_VOLUMES, {
      metadata: { name: 'v' },
      status: { phase: 'Bound' },
    } as never);
    world.start([volumeProtection]);
    const volumes = () => world.client.all(PERSISTENT_VOLUMES);
    await world.until(() =>
      expect(volumes()[0]?.metadata.finalizers).toEqual(['kubernetes.io/pv-protection']),
    );
    await world.client.delete(PERSISTENT_VOLUMES, volumeKey);
    await world.atRest();
    expect(volumes()).toHaveLength(1);
    const released = { type: 'merge', body: { status: { phase: 'Released' } } } as const;
    await world.client.patch(PERSISTENT_VOLUMES, volumeKey, released, { subresource: 'status' });
    await world.until(() => expect(volumes()).toHaveLength(0));
  });
});
