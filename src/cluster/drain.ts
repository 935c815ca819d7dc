import { ApiError, isNotFound } from '../api/errors.ts';
import { isPodTerminal } from '../api/pods.ts';
import { NODES, PODS } from '../api/resource-types.ts';
import type { Pod } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';

const LOOK_MS = 500;
const TOO_MANY_REQUESTS = 429;

/** Says whether new Pods may be placed on a node. */
export async function setSchedulable(client: Client, name: string, may: boolean): Promise<void> {
  const body = { spec: { unschedulable: may ? null : true } };
  await client.patch(NODES, { namespace: '', name }, { type: 'merge', body });
}

/**
 * Empties a node as kubectl drain does: no new Pods, and those that others would run elsewhere are asked to go, as fast as
 * disruption budgets allow. Pods of DaemonSets and of files stay. Resolves when the others are gone.
 */
export async function drain(
  client: Client,
  name: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  await setSchedulable(client, name, false);
  for (;;) {
    const fieldSelector = `spec.nodeName=${name}`;
    const { items } = await client.list(PODS, { fieldSelector }, signal);
    const left = items.filter(mustGo);
    if (left.length === 0) return;
    for (const pod of left) await evict(client, pod);
    await clock.sleep(LOOK_MS, signal);
  }
}

/** Whether a Pod has to leave a node that is drained. Pure. */
export function mustGo(pod: Pod): boolean {
  const { annotations = {}, ownerReferences = [] } = pod.metadata;
  const isMirror = 'kubernetes.io/config.mirror' in annotations;
  const isDaemon = ownerReferences.some(
    ({ kind, controller }) => controller && kind === 'DaemonSet',
  );
  return !isMirror && !isDaemon && !isPodTerminal(pod);
}

/** One that a budget holds back is asked again the next time. */
async function evict(client: Client, { metadata }: Pod): Promise<void> {
  if (metadata.deletionTimestamp) return;
  const { namespace, name } = metadata;
  const path = `/api/v1/namespaces/${namespace}/pods/${name}/eviction`;
  const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { namespace, name } };
  try {
    await client.raw('POST', path, body);
  } catch (err) {
    const isHeld = err instanceof ApiError && err.code === TOO_MANY_REQUESTS;
    if (!isHeld && !isNotFound(err)) throw err;
  }
}
