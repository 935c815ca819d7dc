import { NODES, PODS, type ResourceType, SERVICE_ACCOUNTS } from '../api/resource-types.ts';
import type { Node, Pod } from '../api/types.ts';
import type { Client, Selection } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import { isAbort } from '../util/errors.ts';
import type { Paths } from './paths.ts';
import { findLeftBehind } from './supervised-process.ts';

// Nothing but the port itself tells when a server has begun to listen, so while starting it is tried again.
const RETRY_MS = 50;

/** Resolves when the API server says that it is ready. */
export async function waitForApi(client: Client, clock: Clock, signal: AbortSignal): Promise<void> {
  await retry(clock, signal, () => client.raw('GET', '/readyz', undefined, signal));
}

/** Resolves when the node exists and its Ready condition is True, by what its kubelet has said `since` then. */
export async function waitForNode(
  client: Client,
  { name, since }: { name: string; since: number },
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const selection = { fieldSelector: `metadata.name=${name}` };
  const isRight = (node: Node) => isReady(node) && wasHeard(node, since);
  await retry(clock, signal, () => waitForObject(client, NODES, { selection, isRight }, signal));
}

/**
 * From when on the word of a machine's kubelet counts: one that is still to be started has said nothing yet, but the API
 * goes on to show its node as Ready for a while. To be asked before it is started.
 */
export function heardSince({ run }: Paths, clock: Clock): number {
  return findLeftBehind('kubelet', run) ? 0 : clock.now();
}

/** Times of conditions are whole seconds. */
function wasHeard({ status }: Node, since: number): boolean {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  return since === 0 || Date.parse(ready?.lastHeartbeatTime ?? '') >= since - (since % 1000);
}

/** The controller manager makes it; until then no Pod of the default namespace is admitted. */
export async function waitForDefaultAccount(
  client: Client,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const selection = { namespace: 'default', fieldSelector: 'metadata.name=default' };
  await retry(clock, signal, () =>
    waitForObject(client, SERVICE_ACCOUNTS, { selection, isRight: () => true }, signal),
  );
}

/** Resolves when one of the selected Pods is as it should be, also while API servers come and go. */
export async function waitForPod(
  client: Client,
  wanted: { selection: Selection; isRight: (pod: Pod) => boolean },
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  await retry(clock, signal, () => waitForObject(client, PODS, wanted, signal));
}

/** Resolves when one of the selected objects is as it should be. */
export async function waitForObject<T>(
  client: Client,
  type: ResourceType<T>,
  { selection, isRight }: { selection: Selection; isRight: (object: T) => boolean },
  signal: AbortSignal,
): Promise<void> {
  const { items, metadata } = await client.list(type, selection, signal);
  if (items.some(isRight)) return;
  const { resourceVersion } = metadata;
  for await (const { type: change, object } of client.watch(
    type,
    { ...selection, resourceVersion },
    signal,
  )) {
    if ((change === 'ADDED' || change === 'MODIFIED') && isRight(object)) return;
  }
  throw new Error('The watch ended');
}

/** The Ready condition of a node, as a question. */
export function isReady(node: Node): boolean {
  return (node.status?.conditions ?? []).some(
    ({ type, status }) => type === 'Ready' && status === 'True',
  );
}

/** Tries until it works. */
export async function retry(
  clock: Clock,
  signal: AbortSignal,
  attempt: () => Promise<unknown>,
): Promise<void> {
  for (;;) {
    try {
      await attempt();
      return;
    } catch (err) {
      signal.throwIfAborted();
      if (isAbort(err)) throw err;
      await clock.sleep(RETRY_MS, signal);
    }
  }
}
