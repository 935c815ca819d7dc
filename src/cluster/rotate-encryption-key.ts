import { readFileSync } from 'node:fs';
import { isConflict, isNotFound } from '../api/errors.ts';
import { SECRETS } from '../api/resource-types.ts';
import type { Client } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import { configurationHash } from '../util/configuration-hash.ts';
import { addEncryptionKey, dropOldKeys, encryptionFile } from './encryption.ts';
import type { Paths } from './paths.ts';

const LOOK_MS = 50;
const PATIENCE_MS = 30_000;

/**
 * Makes a new key, writes every Secret with it, and forgets the older keys. Whatever fails on the way leaves all keys
 * in place: nothing becomes unreadable. Answers the new key's name and how many Secrets there were.
 */
export async function rotateEncryptionKey(
  paths: Paths,
  client: Client,
  clock: Clock,
): Promise<{ name: string; count: number }> {
  // Without a server nothing may change: old values would be left behind.
  await client.raw('GET', '/readyz');
  const name = addEncryptionKey(paths);
  await whenUsed(paths, client, clock);
  const written = new Set<string>();
  let count = -1;
  // Until nothing is found that was written by the old key while the new one was taken up.
  while (written.size > count) {
    count = written.size;
    await rewriteAll(client, written);
  }
  dropOldKeys(paths);
  return { name, count };
}

/** Resolves when the API server says that it encrypts by the file as it is now. */
async function whenUsed(paths: Paths, client: Client, clock: Clock): Promise<void> {
  const hash = configurationHash(readFileSync(encryptionFile(paths), 'utf8'));
  const metric = `apiserver_encryption_config_controller_last_config_info{hash="${hash}"} 1`;
  const until = clock.now() + PATIENCE_MS;
  while (!String(await client.raw('GET', '/metrics')).includes(metric)) {
    if (clock.now() > until) {
      throw new Error(`The API server does not take up ${encryptionFile(paths)}; its log says why`);
    }
    await clock.sleep(LOOK_MS);
  }
}

async function rewriteAll(client: Client, written: Set<string>): Promise<void> {
  const { items } = await client.list(SECRETS);
  for (const secret of items) {
    const uid = secret.metadata.uid ?? '';
    if (written.has(uid)) continue;
    await client.update(SECRETS, secret).catch((err: unknown) => {
      // Whoever was faster has written it with the new key, or taken it away.
      if (!isConflict(err) && !isNotFound(err)) throw err;
    });
    written.add(uid);
  }
}
