import { afterEach, beforeEach, expect, it } from 'vitest';
import { CLUSTER_TRUST_BUNDLES } from '../../api/system-resource-types.ts';
import { World } from '../world.fake.ts';
import { bundleName, trustBundlePublisher } from './trust-bundle-publisher.ts';

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.stop());

it('publishes the authority as it is, and takes away what it was', async () => {
  let authority = 'first';
  let changed = () => {};
  const rootCa = {
    current: () => authority,
    onChange: (fn: () => void) => {
      changed = fn;
    },
  };
  const bundles = () =>
    world.client.all(CLUSTER_TRUST_BUNDLES).map(({ metadata, spec }) => [metadata.name, spec]);
  const wanted = (trustBundle: string) => [
    [bundleName(trustBundle), { signerName: 'kubernetes.io/kube-apiserver-serving', trustBundle }],
  ];
  world.client.seed(CLUSTER_TRUST_BUNDLES, {
    metadata: { name: 'of-another-signer' },
    spec: { signerName: 'example.com/other', trustBundle: 'x' },
  } as never);
  const others = bundles();
  world.start([trustBundlePublisher], { rootCa });
  await world.until(() => expect(bundles()).toEqual([...others, ...wanted('first')]));
  authority = 'second';
  changed();
  await world.until(() => expect(bundles()).toEqual([...others, ...wanted('second')]));
  await world.client.delete(CLUSTER_TRUST_BUNDLES, { namespace: '', name: bundleName('second') });
  await world.until(() => expect(bundles()).toEqual([...others, ...wanted('second')]));
  expect(bundleName('second')).toMatch(/^kubernetes\.io:kube-apiserver-serving:[0-9a-f]{24}$/);
});
