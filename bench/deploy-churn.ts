import { readFileSync } from 'node:fs';
import { DEPLOYMENTS, PODS } from '../src/api/resource-types.ts';
import type { Deployment, Pod } from '../src/api/types.ts';
import { createInformer } from '../src/client/informer.ts';
import { startControlPlane } from '../test/support/control-plane.ts';
import { madeUpNodes } from '../test/support/made-up-nodes.ts';
import { since, total, type Writes, writesSoFar } from './support/api-requests.ts';

// 100 Deployments of 10 Pods on made-up nodes: created, rolled, scaled, deleted; then rest; then 10,000 Pods in memory.
// `node bench/deploy-churn.ts [DEPLOYMENTS] [REPLICAS] [SECONDS_AT_REST] [PODS_IN_MEMORY]`
const [count = 100, replicas = 10, restSeconds = 60, podsInMemory = 10_000] = process.argv
  .slice(2)
  .map(Number);
const AT_ONCE = 32;
/**
 * What upstream's algorithms write for a Pod, unless several changes fall together; events left aside (they are written
 * later, and some are dropped).
 */
const UPSTREAM_PER_POD = {
  /** Its creation; its ReplicaSet's status when it is there and when it is ready; the Deployment's for each of these two. */
  come: 5,
  /** Its deletion, its ReplicaSet's status, the Deployment's. */
  go: 3,
  /** One comes, an old one goes, and the sizes of both ReplicaSets are written. */
  roll: 5 + 3 + 2,
  /** The garbage collector deletes it, and the two ReplicaSets of its Deployment; nobody is left who has a status. */
  collect: 1 + 2 / replicas,
};
const MEMORY_MIB = 150;

const plane = await startControlPlane({ controllers: true });
const { client, kubeconfig } = plane;
const nodes = await madeUpNodes(client, { names: Array.from({ length: 10 }, (_, i) => `n${i}`) });
const stop = new AbortController();
const deployments = createInformer(client, DEPLOYMENTS);
const pods = createInformer(
  client,
  PODS,
  {},
  { transform: ({ metadata }) => ({ metadata }) as Pod },
);
const watching = Promise.all([deployments.run(stop.signal), pods.run(stop.signal)]);

const names = Array.from({ length: count }, (_, i) => `web-${i}`);
const key = (name: string) => ({ namespace: 'default', name });

async function each(act: (name: string) => Promise<unknown>): Promise<void> {
  const rest = names[Symbol.iterator]();
  const worker = async () => {
    for (const name of rest) await act(name);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

function isDone({ metadata, spec, status }: Deployment): boolean {
  const wished = spec?.replicas ?? 1;
  return (
    status?.observedGeneration === metadata.generation &&
    (status?.updatedReplicas ?? 0) === wished &&
    (status?.replicas ?? 0) === wished &&
    (status?.availableReplicas ?? 0) === wished
  );
}

async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Of these the controllers wrote: not the scheduler's, not the nodes', not our own. */
function isControllers(id: string): boolean {
  if (/ (409|404)$/.test(id)) return false;
  return /^(POST|DELETE) pods |^PUT (deployments|replicasets)\/status |^(POST|PUT|DELETE) replicasets /.test(
    id,
  );
}

async function phase(
  name: string,
  { pods, upstream }: { pods: number; upstream: number },
  act: () => Promise<void>,
  done: () => boolean,
) {
  const [before, nodesBefore] = [await writesSoFar(kubeconfig), nodes.writes];
  const began = performance.now();
  await act();
  await until(done);
  const seconds = (performance.now() - began) / 1000;
  const writes = since(before, await writesSoFar(kubeconfig));
  // Made-up nodes end Pods by deleting them once more.
  const ended =
    nodes.writes - nodesBefore - total(writes, (id) => id.startsWith('PATCH pods/status'));
  const ours = total(writes, isControllers) - Math.max(0, ended);
  console.log(
    `${name}: ${seconds.toFixed(1)} s, ${(pods / seconds).toFixed(0)} Pods/s, ${(ours / pods).toFixed(2)} writes of controllers a Pod (upstream's algorithms: ${upstream}, ratio ${(ours / pods / upstream).toFixed(2)}), ${total(writes, (id) => id.endsWith(' 409'))} conflicts`,
  );
  if (process.env.VERBOSE) show(writes);
}

function show(writes: Writes): void {
  for (const [id, n] of [...writes].sort((a, b) => b[1] - a[1])) console.log(`    ${n} ${id}`);
}

const template = (image: string) => ({
  metadata: { labels: { app: 'web' } },
  spec: { containers: [{ name: 'c', image }] },
});
const patchAll = (spec: object) => () =>
  each((name) => client.patch(DEPLOYMENTS, key(name), { type: 'merge', body: { spec } }));
const allDone = () => deployments.list().length === count && deployments.list().every(isDone);
/** The informer may still show them as they were before they were scaled. */
const scaledTo = (wanted: number) => () =>
  allDone() && deployments.list().every(({ spec }) => spec?.replicas === wanted);
const rolled = (image: string) => () =>
  allDone() &&
  deployments.list().every((d) => d.spec?.template.spec?.containers[0]?.image === image);

const memory = () => {
  const status = readFileSync(`/proc/${plane.controllerManager?.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
};

/** When it has taken in the last Pods, its memory moves no more. */
async function settledMemory(): Promise<number> {
  for (let before = memory(), still = 0; ; ) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const now = memory();
    still = Math.abs(now - before) < 1 ? still + 1 : 0;
    if (still === 3) return now;
    before = now;
  }
}

try {
  await phase(
    'create',
    { pods: count * replicas, upstream: UPSTREAM_PER_POD.come },
    () =>
      each((name) =>
        client.create(DEPLOYMENTS, {
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          metadata: key(name),
          spec: {
            replicas,
            selector: { matchLabels: { app: 'web', name } },
            template: {
              ...template('v1'),
              metadata: { labels: { app: 'web', name } },
            },
          },
        }),
      ),
    allDone,
  );
  await phase(
    'roll',
    { pods: count * replicas, upstream: UPSTREAM_PER_POD.roll },
    patchAll({ template: { spec: template('v2').spec } }),
    rolled('v2'),
  );
  await phase(
    'scale up',
    { pods: count * replicas, upstream: UPSTREAM_PER_POD.come },
    patchAll({ replicas: replicas * 2 }),
    scaledTo(replicas * 2),
  );
  await phase(
    'scale down',
    { pods: count * replicas, upstream: UPSTREAM_PER_POD.go },
    patchAll({ replicas }),
    scaledTo(replicas),
  );
  const drained = performance.now();
  let start = await writesSoFar(kubeconfig);
  // Events are written one after the other, at leisure: they may still be on their way.
  for (let still = 0; still < 3; ) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const now = await writesSoFar(kubeconfig);
    still = total(since(start, now)) === 0 ? still + 1 : 0;
    start = now;
  }
  const draining = (performance.now() - drained) / 1000;
  await new Promise((resolve) => setTimeout(resolve, restSeconds * 1000));
  const resting = since(start, await writesSoFar(kubeconfig));
  const leases = total(resting, (id) => id.includes(' leases '));
  console.log(
    `at rest, ${restSeconds} s: ${total(resting)} writes, ${leases} of them lease renewals (floor: only these); events were done after ${draining.toFixed(0)} s`,
  );
  show(resting);
  await phase(
    'delete',
    { pods: count * replicas, upstream: UPSTREAM_PER_POD.collect },
    () =>
      each((name) => client.delete(DEPLOYMENTS, key(name), { propagationPolicy: 'Background' })),
    () => deployments.list().length === 0 && pods.list().length === 0,
  );
  const rest = Array.from({ length: podsInMemory }, (_, i) => `pod-${i}`)[Symbol.iterator]();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const name of rest) {
        const { metadata, spec } = template('v1');
        const pod = {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { ...metadata, ...key(name) },
          spec,
        };
        await client.create(PODS, pod as never);
      }
    }),
  );
  const used = await settledMemory();
  console.log(
    `memory of the controller manager at ${podsInMemory} Pods: ${used.toFixed(0)} MiB (ceiling ${MEMORY_MIB}, ratio ${(used / MEMORY_MIB).toFixed(2)})`,
  );
} finally {
  stop.abort();
  await watching;
  await nodes.stop();
  await plane.stop();
}
