import { isNotFound } from '../api/errors.ts';
import { PODS } from '../api/resource-types.ts';
import { timeString } from '../api/times.ts';
import type { Pod } from '../api/types.ts';
import type { Client, DeleteOptions } from '../client/client.ts';

/** Why a Pod is taken away although nobody asked for it (KEP-3329). */
export interface Disruption {
  readonly reason: string;
  readonly message: string;
  /** Also end it: its node will never tell that it has. */
  readonly phase?: 'Failed';
}

/** Says on the Pod why it goes, then deletes it. A Pod that is gone or another one already is no error. */
export async function disrupt(
  client: Client,
  pod: Pod,
  why: Disruption & { readonly now: number },
  options: DeleteOptions = {},
): Promise<void> {
  const { namespace, name, uid } = pod.metadata;
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: why.reason,
    message: why.message,
    lastTransitionTime: timeString(why.now),
  };
  const body = {
    metadata: { uid },
    status: { ...(why.phase ? { phase: why.phase } : {}), conditions: [condition] },
  };
  const key = { namespace, name };
  try {
    await client.patch(PODS, key, { type: 'strategic', body }, { subresource: 'status' });
    await client.delete(PODS, key, { ...options, preconditions: { uid } });
  } catch (err) {
    if (!isNotFound(err)) throw err;
  }
}
