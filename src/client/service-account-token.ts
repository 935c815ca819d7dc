import { isAlreadyExists, isNotFound } from '../api/errors.ts';
import { type ObjectKey, SERVICE_ACCOUNTS } from '../api/resource-types.ts';
import type { Clock } from '../util/clock.ts';
import type { Client } from './client.ts';

const SECONDS = 3600;

/**
 * A token of a service account, made where it is missing (client-go's dynamic client builder). Asked for anew when four
 * fifths of its life are over, or when the server refused it.
 */
export function serviceAccountToken(
  deps: { client: Client; clock: Clock },
  account: ObjectKey,
): (refused: boolean) => Promise<string> {
  let held: { token: string; renewAt: number } | undefined;
  return async (refused) => {
    if (held && !refused && deps.clock.now() < held.renewAt) return held.token;
    const { token, expirationTimestamp } = await request(deps.client, account);
    const life = Date.parse(expirationTimestamp) - deps.clock.now();
    held = { token, renewAt: deps.clock.now() + life * 0.8 };
    return token;
  };
}

interface TokenStatus {
  readonly token: string;
  readonly expirationTimestamp: string;
}

async function request(client: Client, account: ObjectKey): Promise<TokenStatus> {
  const body = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    metadata: account,
    spec: { audiences: [], expirationSeconds: SECONDS },
  };
  const ask = async () => {
    const answer = await client.createSubresource(SERVICE_ACCOUNTS, account, 'token', body);
    const { status } = answer as { status?: TokenStatus };
    if (!status) throw new Error(`The token request for ${account.name} was answered without one`);
    return status;
  };
  try {
    return await ask();
  } catch (err) {
    if (!isNotFound(err)) throw err;
  }
  try {
    await client.create(SERVICE_ACCOUNTS, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: account,
    });
  } catch (err) {
    if (!isAlreadyExists(err)) throw err;
  }
  return ask();
}
