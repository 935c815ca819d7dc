import { setMaxListeners } from 'node:events';
import {
  NAMESPACES,
  NODES,
  PODS,
  type ResourceType,
  SERVICE_ACCOUNTS,
} from '../src/api/resource-types.ts';
import type { Draft } from '../src/api/types.ts';
import { createInformer } from '../src/client/informer.ts';
import { type ControlPlane, startControlPlane } from '../test/support/control-plane.ts';
import { benchNode, benchPod } from './sched/workloads.ts';

// End to end: made-up nodes and Pods against a real API server and a real scheduler, on this machine.
// `node bench/sched-cluster.ts [NODES] [PODS]`
const AT_ONCE = 64;
const FLOOR = 500;

async function createAll<T>(
  { client }: ControlPlane,
  type: ResourceType<T>,
  objects: Draft<T>[],
): Promise<void> {
  const rest = objects[Symbol.iterator]();
  const worker = async () => {
    for (const object of rest) await client.create(type, object);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** Without what only the server may set. */
function draft<T extends { metadata: { name: string; namespace: string } }>(object: T): Draft<T> {
  const {
    uid: _,
    resourceVersion: __,
    creationTimestamp: ___,
    ...metadata
  } = object.metadata as Record<string, unknown>;
  return { ...object, metadata } as unknown as Draft<T>;
}

async function main(nodeCount: number, podCount: number): Promise<void> {
  const plane = await startControlPlane();
  const abort = new AbortController();
  setMaxListeners(0, abort.signal);
  try {
    const { client } = plane;
    await client.create(NAMESPACES, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'bench' },
    });
    await client.create(SERVICE_ACCOUNTS, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace: 'bench' },
    });
    const nodes = Array.from({ length: nodeCount }, (_, i) => draft(benchNode(i)));
    await createAll(
      plane,
      NODES,
      nodes.map((node) => ({ ...node, metadata: { ...node.metadata, namespace: '' } })),
    );
    const bound = new Map<string, number>();
    const created = new Map<string, number>();
    const done = Promise.withResolvers<void>();
    const pods = createInformer(client, PODS, { namespace: 'bench' });
    pods.addHandler({
      onUpdate(before, after) {
        if (before.spec?.nodeName || !after.spec?.nodeName) return;
        bound.set(after.metadata.name, performance.now());
        if (bound.size === podCount) done.resolve();
      },
    });
    const watching = pods.run(abort.signal);
    await pods.whenSynced(abort.signal);
    const started = performance.now();
    const all = Array.from({ length: podCount }, (_, i) =>
      draft(benchPod(`pod-${i}`, { namespace: 'bench' })),
    );
    for (const pod of all) created.set(pod.metadata.name ?? '', 0);
    await createAll(plane, PODS, all);
    const createdAll = performance.now();
    await done.promise;
    const seconds = (performance.now() - started) / 1000;
    abort.abort();
    await watching.catch(() => {});
    const rate = podCount / seconds;
    console.log(
      `end to end, ${nodeCount} nodes, ${podCount} Pods: ${rate.toFixed(0)} Pods/s (floor ${FLOOR}, ratio ${(rate / FLOOR).toFixed(2)}); creating alone took ${((createdAll - started) / 1000).toFixed(1)} s of ${seconds.toFixed(1)} s`,
    );
  } finally {
    abort.abort();
    await plane.stop();
  }
}

await main(Number(process.argv[2] ?? 5000), Number(process.argv[3] ?? 5000));
