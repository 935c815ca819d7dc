import { Command, Option } from 'commander';
import { createClient } from '../../client/rest-client.ts';
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
import { supervisorOf } from '../../cluster/up.ts';
import { realClock } from '../../util/clock.ts';
import { rootOption } from '../options.ts';
import { formatTable } from '../table.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
// A running server takes changed files up within a second or two.
const TAKEN_UP_MS = 30_000;

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
    .addOption(rootOption())
    .action(async ({ root }: { root: string }) => {
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

async function rotate(options: {
  root: string;
  authority: AuthorityName;
  dropOld?: true;
}): Promise<void> {
  const paths = pathsUnder(options.root);
  const settings = savedSettings(paths);
  const now = realClock.now();
  if (options.dropOld) {
    const dropped = await dropOldAuthorities(paths, settings, now);
    await untilTakenUp(paths);
    process.stdout.write(
      dropped.length === 0
        ? 'There were no old authorities\n'
        : `Only the newest is believed of: ${dropped.join(', ')}\n`,
    );
    return;
  }
  const written = await rotateAuthority(paths, settings, options.authority, now);
  await untilTakenUp(paths);
  tell(written);
  process.stdout.write(
    'Both authorities are believed now, by running processes too. Give joined nodes and people the new authority and kubeconfigs, then run: k8ts certs rotate-ca --drop-old\n',
  );
}

/** Resolves when the API server, if one runs here, knows the administrator by the certificate that was just issued. */
async function untilTakenUp(paths: Paths): Promise<void> {
  if (!supervisorOf(paths)) return;
  const client = await createClient(paths.kubeconfig('admin'), { userAgent: 'k8ts' });
  try {
    await waitForApi(client, realClock, AbortSignal.timeout(TAKEN_UP_MS));
  } finally {
    client.close();
  }
}
