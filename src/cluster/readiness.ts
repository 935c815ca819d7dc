import { NODES, PODS, type ResourceType, SERVICE_ACCOUNTS } from '../api/resource-types.ts';
import type { Node, Pod } from '../api/types.ts';
import type { Client, Selection } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import { isAbort } from '../util/errors.ts';

// Nothing but the port itself tells when a server has begun to listen, so while starting it is tried again.
const RETRY_MS = 50;

/** Resolves when the API server says that it is ready. */
export async function waitForApi(client: Client, clock: Clock, signal: AbortSignal): Promise<void> {
  await retry(clock, signal, () => client.raw('GET', '/readyz', undefined, signal));
}

/** Resolves when the node exists and its Ready condition is True. */
export async function waitForNode(
  client: Client,
  name: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const fieldSelector = `metadata.name=${name}`;
  await retry(clock, signal, () =>
    waitForObject(client, NODES, { selection: { fieldSelector }, isRight: isReady }, signal),
  );
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
