import { isNotFound } from '../../src/api/errors.ts';
import { isPodTerminal } from '../../src/api/pods.ts';
import { LEASES, NODES, PODS } from '../../src/api/resource-types.ts';
import { microTimeString } from '../../src/api/times.ts';
import type { Pod } from '../../src/api/types.ts';
import type { Client } from '../../src/client/client.ts';
import { createInformer } from '../../src/client/informer.ts';

export interface MadeUpNodes {
  /** Status writes and deletions so far: what real kubelets would have written. */
  readonly writes: number;
  stop(): Promise<void>;
}

export interface NodeOptions {
  readonly names: readonly string[];
  /** Whether a Pod becomes ready. Default: every Pod. */
  readonly ready?: (pod: Pod) => boolean;
}

/** As often as a kubelet does: a node whose lease stands still is taken for dead. */
const RENEW_MS = 10_000;

/** The exit code of a process that SIGTERM has ended. */
const KILLED = 143;

/** Ends a Pod with this exit code as soon as it runs. */
export const EXIT = 'test/exit-code';

/**
 * Nodes without machines: what is bound to them runs and is ready at once, ends as its annotation says, and is gone
 * when it is deleted.
 */
export async function madeUpNodes(client: Client, options: NodeOptions): Promise<MadeUpNodes> {
  for (const name of options.names) await createNode(client, name);
  const stop = new AbortController();
  const busy = new Set<Promise<void>>();
  const count = { writes: 0 };
  let addresses = 0;
  const act = async (pod: Pod) => {
    const address = `10.9.${(addresses >> 8) & 255}.${addresses++ & 255}`;
    if (await attend(client, pod, { address, ready: options.ready ?? (() => true) }))
      count.writes++;
  };
  const pods = createInformer(client, PODS);
  const look = (pod: Pod) => {
    if (!options.names.includes(pod.spec?.nodeName ?? '')) return;
    const work = act(pod)
      .catch(() => {})
      .finally(() => busy.delete(work));
    busy.add(work);
  };
  pods.addHandler({ onAdd: look, onUpdate: (_, pod) => look(pod) });
  const running = pods.run(stop.signal);
  const beat = setInterval(() => {
    for (const name of options.names) void renew(client, name).catch(() => {});
  }, RENEW_MS);
  return {
    get writes() {
      return count.writes;
    },
    async stop() {
      clearInterval(beat);
      stop.abort();
      await running;
      await Promise.all(busy);
    },
  };
}

async function createNode(client: Client, name: string): Promise<void> {
  const labels = { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' };
  const room = { cpu: '1000', memory: '1000Gi', pods: '20000', 'ephemeral-storage': '1000Gi' };
  await client.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } });
  await client.create(LEASES, {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { namespace: 'kube-node-lease', name },
    spec: {
      holderIdentity: name,
      leaseDurationSeconds: 40,
      renewTime: microTimeString(Date.now()),
    },
  });
  const conditions = [
    { type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' },
  ];
  const body = { status: { capacity: room, allocatable: room, conditions } };
  const key = { namespace: '', name };
  await client.patch(NODES, key, { type: 'merge', body }, { subresource: 'status' });
}

function renew(client: Client, name: string): Promise<unknown> {
  const body = { spec: { renewTime: microTimeString(Date.now()) } };
  return client.patch(LEASES, { namespace: 'kube-node-lease', name }, { type: 'merge', body });
}

/** What a kubelet would do about a Pod now. Answers whether that was a write. */
async function attend(
  client: Client,
  pod: Pod,
  how: { address: string; ready: (pod: Pod) => boolean },
): Promise<boolean> {
  const { metadata, status } = pod;
  const { uid } = metadata;
  if (metadata.deletionTimestamp) {
    // Somebody waits to see how it ends.
    if (metadata.finalizers && !isPodTerminal(pod)) return write(client, pod, ended(pod, KILLED));
    const options = { gracePeriodSeconds: 0, preconditions: { uid } };
    await client.delete(PODS, metadata, options).catch(ignoreNotFound);
    return true;
  }
  if (isPodTerminal(pod)) return false;
  const exit = metadata.annotations?.[EXIT];
  if (exit !== undefined) return write(client, pod, ended(pod, Number(exit)));
  const ready = how.ready(pod);
  const known = status?.conditions?.find(({ type }) => type === 'Ready')?.status;
  if (known === (ready ? 'True' : 'False')) return false;
  return write(client, pod, running(ready, how.address));
}

function running(ready: boolean, podIP: string): object {
  const now = new Date().toISOString();
  const condition = { type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: now };
  const conditions = [condition, { ...condition, type: 'ContainersReady' }];
  return { phase: 'Running', podIP, podIPs: [{ ip: podIP }], startTime: now, conditions };
}

function ended({ spec }: Pod, exitCode: number): object {
  const finishedAt = new Date().toISOString();
  const state = { terminated: { exitCode, finishedAt, startedAt: finishedAt } };
  const containerStatuses = (spec?.containers ?? []).map(({ name, image = '' }) => ({
    ...{ name, image, imageID: '', ready: false, restartCount: 0, state },
  }));
  return { phase: exitCode === 0 ? 'Succeeded' : 'Failed', containerStatuses };
}

async function write(client: Client, pod: Pod, status: object): Promise<boolean> {
  const body = { metadata: { uid: pod.metadata.uid }, status };
  const how = { subresource: 'status' };
  await client.patch(PODS, pod.metadata, { type: 'strategic', body }, how).catch(ignoreNotFound);
  return true;
}

function ignoreNotFound(err: unknown): void {
  if (!isNotFound(err)) throw err;
}
