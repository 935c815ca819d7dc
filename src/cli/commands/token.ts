import { Command } from 'commander';
import { createClient, type RestClient } from '../../client/rest-client.ts';
import {
  addressForOthers,
  authorityOf,
  createToken,
  deleteToken,
  letNodesIn,
  listTokens,
  newToken,
  untilSigned,
} from '../../cluster/bootstrap-tokens.ts';
import { type Paths, pathsUnder } from '../../cluster/paths.ts';
import { savedSettings } from '../../cluster/prepare.ts';
import { newCertificateKey, uploadCertificates } from '../../cluster/shared-certificates.ts';
import { realClock } from '../../util/clock.ts';
import { parseDuration } from '../../util/duration.ts';
import { rootOption } from '../options.ts';

// A controller manager that has lost its lease takes no longer than this to be followed by another.
const SIGNED_WITHIN_MS = 30_000;

interface CreateOptions {
  root: string;
  ttl: string;
  description: string;
  printJoinCommand?: boolean;
  controlPlane?: true;
}

/** `k8ts token`: what lets other machines into the cluster of this one. */
export function command(): Command {
  const token = new Command().description('Let other machines into the cluster: kubeadm token');
  token
    .command('create')
    .summary('make a token, and open the door for nodes')
    .addOption(rootOption())
    .argument('[token]', 'abcdef.0123456789abcdef (default: a new one)')
    .option('--ttl <duration>', 'how long it is good for, 0 for ever', '24h0m0s')
    .option('--description <text>', 'what it is for', '')
    .option('--print-join-command', 'print the command to run on the other machine')
    .option('--control-plane', 'for one more control plane: shares the authorities of this one')
    .action(create);
  token
    .command('list')
    .summary('show the tokens')
    .addOption(rootOption())
    .action(({ root }: { root: string }) => withClient(root, list));
  token
    .command('delete')
    .summary('make a token useless')
    .addOption(rootOption())
    .argument('<token>', 'the whole token, or the part before the dot')
    .action((id: string, { root }: { root: string }) =>
      withClient(root, async (client) => {
        await deleteToken(client, id);
        process.stdout.write(`The token ${id.split('.')[0]} is deleted\n`);
      }),
    );
  return token;
}

async function create(given: string | undefined, options: CreateOptions): Promise<void> {
  const value = given ?? newToken();
  if (!/^[a-z0-9]{6}\.[a-z0-9]{16}$/.test(value)) {
    throw new Error(`${value} is no token: it must have the form abcdef.0123456789abcdef`);
  }
  const ttlMs = parseDuration(options.ttl);
  await withClient(options.root, async (client, paths) => {
    const settings = savedSettings(paths);
    await letNodesIn(client, paths, settings, AbortSignal.timeout(30_000));
    const { description } = options;
    const until = await createToken(client, value, { ttlMs, now: realClock.now(), description });
    await waitForSignature(client, value, ttlMs);
    const words = ['k8ts', 'join', addressForOthers(settings), '--token', value];
    words.push('--ca-cert-hash', authorityOf(paths).hash);
    if (options.controlPlane) {
      const key = newCertificateKey();
      await uploadCertificates(client, paths, { key, until }, AbortSignal.timeout(30_000));
      words.push('--control-plane', '--certificate-key', key);
    }
    const isWhole = options.printJoinCommand || options.controlPlane;
    process.stdout.write(`${isWhole ? words.join(' ') : value}\n`);
  });
}

/** Before others are told of a token it lets them in, unless that takes too long or the token lapses meanwhile. */
async function waitForSignature(client: RestClient, token: string, ttlMs: number): Promise<void> {
  const limitMs = ttlMs === 0 ? SIGNED_WITHIN_MS : Math.min(ttlMs, SIGNED_WITHIN_MS);
  const signal = AbortSignal.timeout(limitMs);
  try {
    await untilSigned(client, token, realClock, signal);
  } catch (err) {
    if (!signal.aborted) throw err;
    process.stderr.write(
      'The cluster information is not signed with the token yet: machines get in once the controller manager has done that; see k8ts status\n',
    );
  }
}

async function list(client: RestClient): Promise<void> {
  const rows = (await listTokens(client)).map(({ id, expires, groups }) => [
    id,
    expires === undefined ? '<forever>' : new Date(expires).toISOString(),
    groups.join(','),
  ]);
  const lines = [['TOKEN ID', 'EXPIRES', 'GROUPS'], ...rows];
  for (const [id = '', expires = '', groups] of lines) {
    process.stdout.write(`${id.padEnd(10)}${expires.padEnd(26)}${groups}\n`);
  }
}

async function withClient(
  root: string,
  act: (client: RestClient, paths: Paths) => Promise<void>,
): Promise<void> {
  const paths = pathsUnder(root);
  const client = await createClient(paths.kubeconfig('admin'));
  try {
    await act(client, paths);
  } finally {
    client.close();
  }
}
