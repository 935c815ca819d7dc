import { Command } from 'commander';
import { isConflict, isNotFound } from '../../api/errors.ts';
import { SECRETS } from '../../api/resource-types.ts';
import { createClient } from '../../client/rest-client.ts';
import {
  addEncryptionKey,
  dropOldKeys,
  encryptionFile,
  encryptionKeys,
} from '../../cluster/encryption.ts';
import { type Paths, pathsUnder } from '../../cluster/paths.ts';
import { realClock } from '../../util/clock.ts';
import { rootOption } from '../options.ts';

// The API server takes up a changed file within this.
const SETTLE_MS = 2000;

/** `k8ts secrets-encrypt`: the keys that Secrets are encrypted with in the store. */
export function command(): Command {
  const encrypt = new Command().description(
    'Secrets are encrypted in the store. Keep the file with the keys where backups are not: neither is of use alone.',
  );
  encrypt
    .command('status')
    .summary('show which keys there are')
    .addOption(rootOption())
    .action(({ root }: { root: string }) => status(pathsUnder(root)));
  encrypt
    .command('rotate')
    .summary('make a new key, write every Secret with it, and forget the old ones')
    .addOption(rootOption())
    .action(({ root }: { root: string }) => rotate(pathsUnder(root)));
  return encrypt;
}

function status(paths: Paths): void {
  const found = encryptionKeys(paths);
  if (!found) {
    process.stdout.write('Encryption Status: Disabled, or by a configuration of your own\n');
    process.exitCode = 1;
    return;
  }
  const [active = '', ...old] = found.names;
  const lines = [
    'Encryption Status: Enabled',
    `Provider: ${found.provider}`,
    `Active key: ${active}`,
    `Old keys: ${old.length === 0 ? 'none' : old.join(', ')}`,
    `Configuration: ${encryptionFile(paths)}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

async function rotate(paths: Paths): Promise<void> {
  const client = await createClient(paths.kubeconfig('admin'), { userAgent: 'k8ts' });
  try {
    // Without a server nothing may change: old values would be left behind.
    const { items } = await client.list(SECRETS);
    const name = addEncryptionKey(paths);
    await realClock.sleep(SETTLE_MS);
    for (const secret of items) {
      await client.update(SECRETS, secret).catch((err: unknown) => {
        // Whoever was faster has written it with the new key, or taken it away.
        if (!isConflict(err) && !isNotFound(err)) throw err;
      });
    }
    dropOldKeys(paths);
    process.stdout.write(
      `${items.length} Secrets are encrypted with ${name}; older keys are gone\n`,
    );
  } finally {
    client.close();
  }
}
