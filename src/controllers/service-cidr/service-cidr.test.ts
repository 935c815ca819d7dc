import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { IP_ADDRESSES, SERVICE_CIDRS } from '../../api/resource-types.ts';
import type { IPAddress, ServiceCIDR } from '../../api/types.ts';
import { World } from '../world.fake.ts';
import { isNeeded } from './ranges.ts';
import { serviceCidrController } from './service-cidr-controller.ts';

const FINALIZER = 'networking.k8s.io/service-cidr-finalizer';
const key = (name: string) => ({ namespace: '', name });
const range = (name: string, ...cidrs: string[]) =>
  ({ metadata: { name }, spec: { cidrs } }) as unknown as ServiceCIDR;
const address = (name: string, by = 'ipallocator.k8s.io') => {
  const labels = { 'ipaddress.kubernetes.io/managed-by': by };
  return { metadata: { name, labels } } as unknown as IPAddress;
};

describe('isNeeded', () => {
  const going = range('going', '10.2.0.0/16', 'fd02::/112');
  it.each<[string, boolean, ServiceCIDR[], IPAddress[]]>([
    ['by nobody', false, [], []],
    ['by an address of its own', true, [], [address('10.2.0.9')]],
    ['by an IPv6 address of its own', true, [], [address('fd02::9')]],
    ['not by an address elsewhere', false, [], [address('10.3.0.9')]],
    ['not by an address that no API server gave', false, [], [address('10.2.0.9', 'me')]],
    [
      'not where a larger range of each family holds them',
      false,
      [range('large', '10.0.0.0/8', 'fd02::/64')],
      [address('10.2.0.9'), address('fd02::9')],
    ],
    [
      'not where a smaller range holds the address',
      false,
      [range('small', '10.2.0.0/24')],
      [address('10.2.0.9')],
    ],
    [
      'where a smaller range does not hold the address',
      true,
      [range('small', '10.2.1.0/24')],
      [address('10.2.0.9')],
    ],
  ])('%s', (_, wanted, others, addresses) => {
    expect(isNeeded(going, [going, ...others], addresses)).toBe(wanted);
  });
});

describe('service CIDR controller', () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });
  afterEach(() => world.stop());
  const get = () => world.client.get(SERVICE_CIDRS, key('extra'));

  it('holds a range, says that it is ready, and lets it go when nothing is taken from it', async () => {
    world.client.seed(SERVICE_CIDRS, range('extra', '10.2.0.0/16') as never);
    world.client.seed(IP_ADDRESSES, address('10.2.0.9') as never);
    world.start([serviceCidrController]);
    await world.until(async () => {
      const { metadata, status } = await get();
      expect(metadata.finalizers).toEqual([FINALIZER]);
      expect(status?.conditions).toMatchObject([
        { type: 'Ready', status: 'True', message: 'Kubernetes Service CIDR is ready' },
      ]);
    });
    const writes = world.client.actions.length;
    await world.atRest();
    expect(world.client.actions.length).toBe(writes);

    await world.client.delete(SERVICE_CIDRS, key('extra'));
    await world.until(async () =>
      expect((await get()).status?.conditions).toMatchObject([
        { type: 'Ready', status: 'False', reason: 'Terminating' },
      ]),
    );
    const deletionTimestamp = new Date(Date.now() - 9_900).toISOString();
    const { metadata, ...rest } = await get();
    world.client.seed(SERVICE_CIDRS, { ...rest, metadata: { ...metadata, deletionTimestamp } });
    await world.client.delete(IP_ADDRESSES, key('10.2.0.9'));
    await world.until(() => expect(world.client.all(SERVICE_CIDRS)).toEqual([]));
  });
});
