import { CONFIG_MAPS } from '../src/api/resource-types.ts';
import { createInformer } from '../src/client/informer.ts';
import { startControlPlane } from '../test/support/control-plane.ts';

// One owner with 10,000 dependents is deleted in the background: how fast the collector follows.
// `node bench/gc.ts [DEPENDENTS]`
const dependents = Number(process.argv[2] ?? 10_000);
const FLOOR = 500;
const AT_ONCE = 48;

const plane = await startControlPlane({ controllers: true });
const { client } = plane;
const stop = new AbortController();
const namespace = 'default';
try {
  const owner = await client.create(CONFIG_MAPS, {
    ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name: 'owner' } },
  });
  const { name, uid } = owner.metadata;
  const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name, uid }];
  const rest = Array.from({ length: dependents }, (_, i) => `d-${i}`)[Symbol.iterator]();
  const worker = async () => {
    for (const each of rest) {
      const metadata = { namespace, name: each, labels: { d: '' }, ownerReferences };
      await client.create(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const left = createInformer(client, CONFIG_MAPS, { labelSelector: 'd', metadataOnly: true });
  const gone = Promise.withResolvers<void>();
  left.addHandler({
    onDelete: () => {
      if (left.list().length === 0) gone.resolve();
    },
  });
  const watching = left.run(stop.signal);
  await left.whenSynced(stop.signal);
  const began = performance.now();
  await client.delete(CONFIG_MAPS, { namespace, name }, { propagationPolicy: 'Background' });
  await gone.promise;
  const rate = dependents / ((performance.now() - began) / 1000);
  console.log(
    `${dependents} dependents: ${rate.toFixed(0)} deletions/s (floor ${FLOOR}, ratio ${(rate / FLOOR).toFixed(2)})`,
  );
  stop.abort();
  await watching;
} finally {
  stop.abort();
  await plane.stop();
}
