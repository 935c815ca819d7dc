import { hkdfSync, X509Certificate } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SECRETS } from '../api/resource-types.ts';
import type { KubeObject, Secret } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import { createInformer } from '../client/informer.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/log.ts';
import { applyObjects } from './apply.ts';
import { ensureIdentities } from './certificate-care.ts';
import { AUTHORITIES, crossFile } from './certificates.ts';
import { PUBLIC_MODE, readIfExists, SECRET_MODE, writeWhole } from './files.ts';
import { follow } from './follow.ts';
import type { Paths } from './paths.ts';
import type { ClusterSettings } from './settings.ts';
import { open, seal } from './shared-certificates.ts';

/** Through which control planes that run hear of new authorities. */
const NAME = { namespace: 'kube-system', name: 'k8ts-authorities' };
const FIELD = 'authorities';
const KEY_BYTES = 32;
const APPLIED_WITHIN_MS = 30_000;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----\n/g;

/** An authority's files. */
interface AuthorityFiles {
  /** The newest first. */
  readonly certificates: string;
  readonly key: string;
  readonly cross?: string | undefined;
}

type Authorities = Readonly<Record<string, AuthorityFiles>>;

/** Tells the other control planes the authorities of this one. */
export async function shareAuthorities(client: Client, paths: Paths): Promise<void> {
  const text = JSON.stringify(authoritiesOf(paths));
  const sealed = seal(Buffer.from(text), sharedKey(paths)).toString('base64');
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: NAME, data: { [FIELD]: sealed } };
  const signal = AbortSignal.timeout(APPLIED_WITHIN_MS);
  const problems = await applyObjects(client, [secret as unknown as KubeObject], signal);
  if (problems.length > 0) throw new Error(problems.join('\n'));
}

/** Takes over what another control plane tells, and issues this one's certificates anew, until aborted. */
export async function keepAuthorities(
  paths: Paths,
  settings: ClusterSettings,
  deps: { client: Client; clock: Clock; log: Logger },
  signal: AbortSignal,
): Promise<void> {
  const { namespace, name } = NAME;
  const selection = { namespace, fieldSelector: `metadata.name=${name}` };
  const secrets = createInformer(deps.client, SECRETS, selection, deps);
  const act = async ([secret]: readonly Secret[]) => {
    const sealed = secret?.data?.[FIELD];
    if (sealed === undefined) return true;
    const taken = await takeOver(paths, settings, sealed, deps.clock.now());
    if (taken.length > 0) deps.log.info({ authorities: taken }, 'Took new authorities over');
    return true;
  };
  const problem = 'Could not take the new authorities of the cluster over';
  await follow(secrets, { act, problem }, deps, signal);
}

/** Answers the names of those that were news. */
export async function takeOver(
  paths: Paths,
  settings: ClusterSettings,
  sealed: string,
  now: number,
): Promise<string[]> {
  const text = open(Buffer.from(sealed, 'base64'), sharedKey(paths)).toString();
  const told = JSON.parse(text) as Authorities;
  const own = authoritiesOf(paths);
  const news = Object.keys(AUTHORITIES).filter((name) => {
    const [theirs, ours] = [told[name], own[name]];
    return theirs && ours && isNews(theirs.certificates, ours.certificates);
  });
  for (const name of news) write(paths, name, told[name]);
  if (news.length > 0) await ensureIdentities(paths, settings, now);
  return news;
}

/**
 * Whether authorities that are told come after those that are known: the newest that is known is among them and has a
 * successor, or is left alone. What was before is never gone back to. Pure.
 */
export function isNews(told: string, known: string): boolean {
  const [theirs, ours] = [fingerprints(told), fingerprints(known)];
  const place = theirs.indexOf(ours[0] ?? '');
  return place > 0 || (place === 0 && theirs.length < ours.length);
}

function fingerprints(bundle: string): string[] {
  return (bundle.match(CERTIFICATE) ?? []).map((pem) => new X509Certificate(pem).fingerprint256);
}

function authoritiesOf({ pki }: Paths): Authorities {
  const names = Object.keys(AUTHORITIES);
  return Object.fromEntries(
    names.map((name) => [
      name,
      {
        certificates: readFileSync(join(pki, `${name}.crt`), 'utf8'),
        key: readFileSync(join(pki, `${name}.key`), 'utf8'),
        cross: readIfExists(crossFile(pki, name)),
      },
    ]),
  );
}

/** The key first: a certificate without its key would be of no use. */
function write({ pki }: Paths, name: string, files: AuthorityFiles | undefined): void {
  if (!files) return;
  writeWhole(join(pki, `${name}.key`), files.key, SECRET_MODE);
  if (files.cross === undefined) rmSync(crossFile(pki, name), { force: true });
  else writeWhole(crossFile(pki, name), files.cross, PUBLIC_MODE);
  writeWhole(join(pki, `${name}.crt`), files.certificates, PUBLIC_MODE);
}

/** From the key that signs tokens of accounts: all control planes have it, and no one else. */
function sharedKey({ pki }: Paths): string {
  const secret = readFileSync(join(pki, 'sa.key'));
  return Buffer.from(hkdfSync('sha256', secret, '', NAME.name, KEY_BYTES)).toString('hex');
}
