import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CONFIG_MAPS, PODS, RESOURCE_QUOTAS } from '../../api/resource-types.ts';
import { World } from '../world.fake.ts';
import { resourceQuotaController } from './resource-quota-controller.ts';

const key = { namespace: 'default', name: 'q' };
const quota = (hard: object, spec = {}) => ({ metadata: key, spec: { hard, ...spec } }) as never;
const pod = (name: string, cpu = '100m', namespace = 'default') =>
  ({
    metadata: { namespace, name },
    spec: { containers: [{ name: 'c', resources: { requests: { cpu } } }] },
  }) as never;

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.stop());
const status = async () => (await world.client.get(RESOURCE_QUOTAS, key)).status;

describe('ResourceQuota controller', () => {
  it('shows limits and use at once, and follows what goes', async () => {
    world.client.seed(PODS, pod('a'), pod('b'), pod('c', '1', 'elsewhere'));
    world.client.seed(RESOURCE_QUOTAS, quota({ pods: '5', cpu: '1' }));
    world.start([resourceQuotaController]);
    const hard = { pods: '5', cpu: '1' };
    await world.until(async () =>
      expect(await status()).toEqual({ hard, used: { pods: '2', cpu: '200m' } }),
    );
    await world.client.delete(PODS, { namespace: 'default', name: 'a' });
    await world.until(async () =>
      expect((await status())?.used).toEqual({ pods: '1', cpu: '100m' }),
    );
    await world.setPods(() => true, { ready: false, phase: 'Succeeded' });
    await world.until(async () => expect((await status())?.used).toEqual({ pods: '0', cpu: '0' }));
  });

  it('follows the limits, and is silent then', async () => {
    world.client.seed(RESOURCE_QUOTAS, quota({ pods: '5' }));
    world.start([resourceQuotaController]);
    await world.until(async () => expect((await status())?.used).toEqual({ pods: '0' }));
    await world.client.patch(RESOURCE_QUOTAS, key, {
      type: 'merge',
      body: { spec: { hard: { services: '1' } } },
    });
    await world.until(async () =>
      expect((await status())?.used).toEqual({ pods: '0', services: '0' }),
    );
    const before = world.client.actions.length;
    await world.atRest();
    expect(world.client.actions.length).toBe(before);
  });

  it('undoes what others write into the status, after the sync period', async () => {
    world.client.seed(RESOURCE_QUOTAS, quota({ pods: '5' }));
    world.start([resourceQuotaController], { resourceQuotaSyncPeriodMs: 40 });
    await world.until(async () => expect((await status())?.hard).toEqual({ pods: '5' }));
    const body = { status: { hard: { pods: '9' } } };
    await world.client.patch(
      RESOURCE_QUOTAS,
      key,
      { type: 'merge', body },
      { subresource: 'status' },
    );
    await world.until(async () => expect((await status())?.hard).toEqual({ pods: '5' }));
  });

  it('counts objects of kinds that no other controller watches', async () => {
    world.client.raw = async (_method: string, path: string) =>
      path === '/apis'
        ? { groups: [] }
        : { resources: [{ name: 'configmaps', kind: 'ConfigMap', namespaced: true, verbs: [] }] };
    world.client.seed(CONFIG_MAPS, { metadata: { namespace: 'default', name: 'm' } } as never);
    world.client.seed(RESOURCE_QUOTAS, quota({ 'count/configmaps': '2', configmaps: '2' }));
    world.start([resourceQuotaController]);
    await world.until(async () =>
      expect((await status())?.used).toEqual({ 'count/configmaps': '1', configmaps: '1' }),
    );
  });
});
