import { Command } from 'commander';
import { createClient } from '../../client/rest-client.ts';
import { encryptionFile, encryptionKeys } from '../../cluster/encryption.ts';
import { type Paths, pathsUnder } from '../../cluster/paths.ts';
import { rotateEncryptionKey } from '../../cluster/rotate-encryption-key.ts';
import { realClock } from '../../util/clock.ts';
import { rootOption } from '../options.ts';

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
    const { name, count } = await rotateEncryptionKey(paths, client, realClock);
    process.stdout.write(`${count} Secrets are encrypted with ${name}; older keys are gone\n`);
  } finally {
    client.close();
  }
}
