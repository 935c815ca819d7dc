import { NODES } from '../api/resource-types.ts';
import type { Node } from '../api/types.ts';
import type { Client } from '../client/client.ts';
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
  await retry(clock, signal, async () => {
    const fieldSelector = `metadata.name=${name}`;
    const { items, metadata } = await client.list(NODES, { fieldSelector }, signal);
    if (items.some(isReady)) return;
    const { resourceVersion } = metadata;
    for await (const { object } of client.watch(
      NODES,
      { fieldSelector, resourceVersion },
      signal,
    )) {
      if (isReady(object)) return;
    }
    throw new Error('The watch ended');
  });
}

/** The Ready condition of a node, as a question. */
export function isReady(node: Node): boolean {
  return (node.status?.conditions ?? []).some(
    ({ type, status }) => type === 'Ready' && status === 'True',
  );
}

async function retry(
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
