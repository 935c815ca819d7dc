import { Argument, Command, Option } from 'commander';
import type { Client } from '../../client/client.ts';
import { createClient } from '../../client/rest-client.ts';
import { shareAuthorities } from '../../cluster/authority-exchange.ts';
import { announceAuthority, nodesBehind } from '../../cluster/authority-news.ts';
import {
  dropOldAuthorities,
  ensureIdentities,
  expirations,
  rotateAuthority,
} from '../../cluster/certificate-care.ts';
import { AUTHORITIES, type AuthorityName } from '../../cluster/certificates.ts';
import { type Paths, pathsUnder } from '../../cluster/paths.ts';
import { savedSettings, saveSettings, settingsFor } from '../../cluster/prepare.ts';
import { waitForApi } from '../../cluster/readiness.ts';
import type { ClusterSettings } from '../../cluster/settings.ts';
import { supervisorOf } from '../../cluster/up.ts';
import { realClock } from '../../util/clock.ts';
import { rootOption } from '../options.ts';
import { formatTable } from '../table.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
// A running server takes changed files up within a second or two.
const TAKEN_UP_MS = 30_000;
// Others hear at once, and then have certificates to get.
const SERVERS_FOLLOW_MS = 60_000;
const NODES_FOLLOW_MS = 90_000;
const LOOK_MS = 500;

/** `k8ts certs`: kubeadm's certificates, under the directory of the cluster. */
export function command(): Command {
  const certs = new Command().description(
    'The certificates of the cluster. A running cluster renews them by itself, two months before they lapse.',
  );
  certs
    .command('init')
    .summary('make authorities, certificates and kubeconfigs without starting anything')
    .addOption(rootOption())
    .option('--node-name <name>', 'name of this machine')
    .option('--node-ip <address>', 'its address')
    .action(init);
  certs
    .command('check-expiration')
    .summary('show when each of them lapses')
    .addOption(rootOption())
    .action(({ root }: { root: string }) => check(root));
  certs
    .command('renew')
    .summary('issue all of them anew; running processes take them up by themselves')
    .addArgument(new Argument('[which]', "kubeadm's word").choices(['all']).default('all'))
    .addOption(rootOption())
    .action(async (_which: string, { root }: { root: string }) => {
      const paths = pathsUnder(root);
      const now = realClock.now();
      // Seen from the end of their year none is good enough.
      tell(await ensureIdentities(paths, savedSettings(paths), now, now + 366 * DAY_MS));
    });
  certs
    .command('rotate-ca')
    .summary('put a new authority beside the old one, and issue everything anew')
    .addOption(rootOption())
    .addOption(
      new Option('--authority <name>', 'which').choices(Object.keys(AUTHORITIES)).default('ca'),
    )
    .option('--drop-old', 'believe the old ones no longer: the last step')
    .option('--force', 'drop them though nodes or API servers have no certificate of the new one')
    .action(rotate);
  return certs;
}

async function init(options: { root: string; nodeName?: string; nodeIp?: string }): Promise<void> {
  const paths = pathsUnder(options.root);
  const settings = settingsFor({ nodeName: options.nodeName, nodeIp: options.nodeIp });
  tell(await ensureIdentities(paths, settings, realClock.now()));
  saveSettings(paths, settings);
}

function tell(written: readonly string[]): void {
  const text = written.length === 0 ? 'Nothing had to be issued' : `Issued: ${written.join(', ')}`;
  process.stdout.write(`${text}\n`);
}

async function check(root: string): Promise<void> {
  const paths = pathsUnder(root);
  const now = realClock.now();
  const rows = (await expirations(paths, savedSettings(paths))).map((one) => {
    const { name, notAfter, authority, isAuthority } = one;
    if (!notAfter) return [name, 'missing', '-', authority];
    const days = Math.floor((notAfter.getTime() - now) / DAY_MS);
    const expires = `${notAfter.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
    return [
      name,
      expires,
      days < 0 ? 'lapsed' : `${days}d`,
      isAuthority ? '(authority)' : authority,
    ];
  });
  const head = ['CERTIFICATE', 'EXPIRES', 'RESIDUAL TIME', 'CERTIFICATE AUTHORITY'];
  process.stdout.write(`${formatTable([head, ...rows])}\n`);
  if (rows.some(([, expires, left]) => expires === 'missing' || left === 'lapsed')) {
    process.exitCode = 1;
  }
}

interface RotateOptions {
  root: string;
  authority: AuthorityName;
  dropOld?: true;
  force?: true;
}

async function rotate(options: RotateOptions): Promise<void> {
  const paths = pathsUnder(options.root);
  const settings = savedSettings(paths);
  const now = realClock.now();
  if (options.dropOld) {
    await dropOld(paths, settings, options.force === true);
    return;
  }
  if (options.authority === 'etcd/ca' && settings.store === 'stacked') {
    throw new Error(
      'Members of etcd read their authority only when they start; to replace it, back up (k8ts snapshot save) and move to a new cluster',
    );
  }
  tell(await rotateAuthority(paths, settings, options.authority, now));
  await untilTakenUp(paths);
  const behind = await withRunning(paths, (client) => tellOthers(client, paths, settings));
  process.stdout.write(
    'Both authorities are believed now, by running processes too. Joined nodes learn of them by themselves; give people the new authority and kubeconfigs. Then run: k8ts certs rotate-ca --drop-old\n',
  );
  if (behind?.length) process.stdout.write(`${serversProblem(paths, behind)}\n`);
}

/** Answers the API servers that have no certificate of the newest authority in good time. Nodes are told when all have. */
async function tellOthers(
  client: Client,
  paths: Paths,
  settings: ClusterSettings,
): Promise<string[]> {
  if (settings.store !== 'lmdb') await shareAuthorities(client, paths);
  const until = realClock.now() + SERVERS_FOLLOW_MS;
  for (;;) {
    const behind = await announceAuthority(client, paths);
    if (behind.length === 0 || realClock.now() > until) return behind;
    await realClock.sleep(LOOK_MS);
  }
}

async function dropOld(paths: Paths, settings: ClusterSettings, isForced: boolean): Promise<void> {
  if (!isForced) await withRunning(paths, (client) => untilNodesFollow(client, paths));
  const dropped = await dropOldAuthorities(paths, settings, realClock.now());
  await untilTakenUp(paths);
  await withRunning(paths, (client) => tellOthers(client, paths, settings));
  process.stdout.write(
    dropped.length === 0
      ? 'There were no old authorities\n'
      : `Only the newest is believed of: ${dropped.join(', ')}\n`,
  );
}

/** Throws when an API server or a node would be lost with the old authority. Nodes are given time. */
async function untilNodesFollow(client: Client, paths: Paths): Promise<void> {
  const servers = await announceAuthority(client, paths);
  if (servers.length > 0) throw new Error(serversProblem(paths, servers));
  const until = realClock.now() + NODES_FOLLOW_MS;
  for (;;) {
    const behind = await nodesBehind(client, paths);
    if (behind.length === 0) return;
    if (realClock.now() > until) {
      throw new Error(
        `Kubelets have no certificate of the new authority yet: ${behind.join(', ')}; start those nodes or delete them, or give up on them with --force`,
      );
    }
    await realClock.sleep(LOOK_MS);
  }
}

function serversProblem({ pki }: Paths, servers: readonly string[]): string {
  return `API servers have no certificate of the new authority yet: ${servers.join(', ')}; start k8ts there, or copy ca.crt, ca.key and ca-cross.crt of ${pki} to their machines and run there: k8ts certs renew`;
}

/** Undefined: no cluster runs here. */
async function withRunning<T>(
  paths: Paths,
  act: (client: Client) => Promise<T>,
): Promise<T | undefined> {
  if (!supervisorOf(paths)) return undefined;
  const client = await createClient(paths.kubeconfig('admin'), { userAgent: 'k8ts' });
  try {
    return await act(client);
  } finally {
    client.close();
  }
}

/** Resolves when the API server, if one runs here, knows the administrator by the certificate that was just issued. */
async function untilTakenUp(paths: Paths): Promise<void> {
  await withRunning(paths, (client) =>
    waitForApi(client, realClock, AbortSignal.timeout(TAKEN_UP_MS)),
  );
}
