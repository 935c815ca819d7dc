import { existsSync, readFileSync, rmSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { readCertificate } from '../pki/certificate.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/log.ts';
import {
  ADMINISTRATORS,
  AUTHORITIES,
  type AuthorityName,
  certificateSpecs,
  crossFile,
  ensureAuthorities,
  ensureCertificates,
  readPair,
} from './certificates.ts';
import { localServer } from './components.ts';
import { PUBLIC_MODE, SECRET_MODE, writeWhole } from './files.ts';
import { ensureKubeconfigs, readKubeconfig } from './kubeconfig.ts';
import type { KubeconfigUser, Paths } from './paths.ts';
import { type ClusterSettings, isFirst } from './settings.ts';

const KUBECONFIG_USERS: readonly KubeconfigUser[] = [
  'admin',
  'controller-manager',
  'scheduler',
  'kubelet',
  'proxy',
];

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * Issues every certificate and kubeconfig that is missing, no longer fits, or is about to lapse, seen from `asOf`.
 * Answers what it wrote.
 */
export async function ensureIdentities(
  paths: Paths,
  settings: ClusterSettings,
  now: number,
  asOf = now,
): Promise<string[]> {
  await ensureAuthorities(paths.pki, now);
  const specs = certificateSpecs(paths, settings);
  const files = await ensureCertificates(specs, paths.pki, now, asOf);
  const users = await ensureKubeconfigs(await wantedUsers(paths, settings), {
    paths,
    nodeName: settings.nodeName,
    server: localServer(settings),
    ...{ now, asOf },
  });
  return [...files.map((file) => shownName(paths, file)), ...users.map((user) => `${user}.conf`)];
}

/**
 * The first control plane gets the way in that needs no binding, in a cluster that has no administrators yet. Once it was
 * put away safely it is not made again.
 */
async function wantedUsers(paths: Paths, settings: ClusterSettings): Promise<KubeconfigUser[]> {
  const admin = await certificateOf(paths, 'admin');
  const isAdministrator =
    admin !== undefined && readCertificate(admin).organizations.includes(ADMINISTRATORS);
  const isWanted = isFirst(settings) && !isAdministrator;
  return isWanted ? [...KUBECONFIG_USERS, 'super-admin'] : kubeconfigUsers(paths);
}

/** Who has a kubeconfig here. */
function kubeconfigUsers(paths: Paths): KubeconfigUser[] {
  const hasSuper = existsSync(paths.kubeconfig('super-admin'));
  return hasSuper ? [...KUBECONFIG_USERS, 'super-admin'] : [...KUBECONFIG_USERS];
}

/** `apiserver`, `etcd-server`: kubeadm's names. */
function shownName({ pki }: Paths, file: string): string {
  return file.startsWith(pki) ? relative(pki, file).replace('/', '-') : basename(file);
}

/** Renews certificates long before they lapse, daily until aborted. Processes read changed files by themselves. */
export async function keepIdentities(
  paths: Paths,
  settings: ClusterSettings,
  { clock, log }: { clock: Clock; log: Logger },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(DAY_MS, signal).catch(() => {});
    if (signal.aborted) return;
    const written = await ensureIdentities(paths, settings, clock.now());
    if (written.length > 0) log.info({ certificates: written }, 'Renewed certificates');
  }
}

/** One row of `k8ts certs check-expiration`. */
export interface Expiration {
  readonly name: string;
  readonly isAuthority: boolean;
  /** Undefined: there is no such file. */
  readonly notAfter: Date | undefined;
  readonly authority: string;
}

/** When everything lapses. */
export async function expirations(paths: Paths, settings: ClusterSettings): Promise<Expiration[]> {
  const row = (name: string, pem: string | undefined, isAuthority: boolean): Expiration => {
    const facts = pem === undefined ? undefined : readCertificate(pem);
    return { name, isAuthority, notAfter: facts?.notAfter, authority: facts?.issuer ?? '' };
  };
  const leaves = certificateSpecs(paths, settings).map(({ file }) =>
    row(shownName(paths, file), readText(`${file}.crt`), false),
  );
  const users = await Promise.all(
    kubeconfigUsers(paths).map(async (user) =>
      row(`${user}.conf`, await certificateOf(paths, user), false),
    ),
  );
  const authorities = Object.keys(AUTHORITIES).map((name) =>
    row(name, readText(join(paths.pki, `${name}.crt`)), true),
  );
  return [...users, ...leaves, ...authorities];
}

async function certificateOf(paths: Paths, user: KubeconfigUser): Promise<string | undefined> {
  const entry = (await readKubeconfig(paths.kubeconfig(user)))?.users[0]?.user as
    | Record<string, string>
    | undefined;
  const data = entry?.['client-certificate-data'];
  if (data) return Buffer.from(data, 'base64').toString();
  const file = entry?.['client-certificate'];
  return file === undefined ? undefined : readText(file);
}

function readText(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/**
 * Puts a new authority before the old one: certificates of both are believed, and all are issued anew. The old one is
 * dropped (`dropOldAuthorities`) when every process and node has the new ones.
 */
export async function rotateAuthority(
  paths: Paths,
  settings: ClusterSettings,
  name: AuthorityName,
  now: number,
): Promise<string[]> {
  const { createAuthority, crossCertificate } = await import('../pki/ca.ts');
  const file = join(paths.pki, name);
  const old = readPair(file);
  const before = old.certificate;
  const made = await createAuthority(AUTHORITIES[name], now);
  // Nodes that have not heard of it yet are served with certificates of it.
  const cross = await crossCertificate(old, made, now);
  writeWhole(crossFile(paths.pki, name), cross, PUBLIC_MODE);
  writeWhole(`${file}.key`, made.key, SECRET_MODE);
  writeWhole(`${file}.crt`, made.certificate + before, PUBLIC_MODE);
  return ensureIdentities(paths, settings, now);
}

const FIRST = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----\n/;

/** Believes no authority any more but the newest. Answers those whose older ones are gone. */
export async function dropOldAuthorities(
  paths: Paths,
  settings: ClusterSettings,
  now: number,
): Promise<string[]> {
  const dropped = Object.keys(AUTHORITIES).filter((name) => {
    const file = join(paths.pki, `${name}.crt`);
    rmSync(crossFile(paths.pki, name), { force: true });
    const newest = FIRST.exec(readText(file) ?? '')?.[0];
    return newest !== undefined && writeWhole(file, newest, PUBLIC_MODE);
  });
  await ensureIdentities(paths, settings, now);
  return dropped;
}
