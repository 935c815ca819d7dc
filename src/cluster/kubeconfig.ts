import { chmodSync, chownSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseYaml, stringifyYaml } from '../api/yaml.ts';
import type { KeyAndCertificate } from '../pki/ca.ts';
import {
  clientIdentity,
  issue,
  readPair,
  readPairIfExists,
  stillGood,
  writePair,
} from './certificates.ts';
import { readIfExists, SECRET_MODE, writeWhole } from './files.ts';
import type { KubeconfigUser, Paths } from './paths.ts';

/** The part of a kubeconfig that k8ts writes. https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/ */
interface Kubeconfig {
  apiVersion: string;
  kind: string;
  clusters: Named[];
  contexts: Named[];
  users: Named[];
  'current-context'?: string;
  [field: string]: unknown;
}

interface Named {
  name: string;
  [field: string]: unknown;
}

/** Whose kubeconfigs hold all that they need. */
const PEOPLE: ReadonlySet<KubeconfigUser> = new Set(['admin', 'super-admin']);

const LISTS = ['clusters', 'contexts', 'users'] as const;

/** Names of the cluster and of the operator's context in kubeconfigs. */
export const CONTEXT = 'k8ts';

/** A kubeconfig with everything inside: server, its authority and the user's certificate, or (`file`) where they lie. */
export function kubeconfigFor(
  user: string,
  server: string,
  authority: string | { readonly file: string },
  credentials: KeyAndCertificate | { readonly file: string },
): Kubeconfig {
  const name = `${CONTEXT}-${user}`;
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: CONTEXT,
        cluster:
          typeof authority === 'string'
            ? { server, 'certificate-authority-data': base64(authority) }
            : { server, 'certificate-authority': authority.file },
      },
    ],
    users: [
      {
        name,
        user:
          'file' in credentials
            ? {
                'client-certificate': `${credentials.file}.crt`,
                'client-key': `${credentials.file}.key`,
              }
            : {
                'client-certificate-data': base64(credentials.certificate),
                'client-key-data': base64(credentials.key),
              },
      },
    ],
    contexts: [{ name: CONTEXT, context: { cluster: CONTEXT, user: name } }],
    'current-context': CONTEXT,
  };
}

/**
 * Makes sure that each user has a kubeconfig whose certificate is good for at least two more months. Components have
 * theirs in files of their own, which they read again when they change; a person's kubeconfig goes anywhere.
 */
export async function ensureKubeconfigs(
  users: readonly KubeconfigUser[],
  options: {
    paths: Paths;
    nodeName: string;
    server: string;
    now: number;
    asOf?: number;
  },
): Promise<KubeconfigUser[]> {
  const { paths, nodeName, server, now, asOf = now } = options;
  const authority = readPair(join(paths.pki, 'ca'));
  const written: KubeconfigUser[] = [];
  for (const user of users) {
    const file = paths.kubeconfig(user);
    const identity = clientIdentity(user, nodeName);
    const pairFile = PEOPLE.has(user) ? undefined : join(paths.pki, user);
    const before = await heldBy(file, pairFile);
    const isGood = stillGood(before, authority, identity, asOf);
    const credentials = before && isGood ? before : await issue(authority, identity, now);
    if (pairFile && !isGood) writePair(pairFile, credentials);
    const config = pairFile
      ? kubeconfigFor(user, server, { file: join(paths.pki, 'ca.crt') }, { file: pairFile })
      : kubeconfigFor(user, server, authority.certificate, credentials);
    // JSON is YAML: kubectl and components read it as it is.
    const isNew = writeWhole(file, `${JSON.stringify(config, undefined, 2)}\n`, SECRET_MODE);
    if (isNew || !isGood) written.push(user);
  }
  return written;
}

/** The certificate of a kubeconfig: inside of it, or in files of its own. */
async function heldBy(
  kubeconfig: string,
  pairFile: string | undefined,
): Promise<KeyAndCertificate | undefined> {
  if (pairFile !== undefined) return readPairIfExists(pairFile);
  return readCredentials(await readKubeconfig(kubeconfig));
}

/**
 * Adds the operator's cluster, user and context to a kubeconfig of theirs. Entries of other names stay as they
 * are; the current context is chosen only where there was none.
 */
export function mergeKubeconfig(existing: Kubeconfig | undefined, ours: Kubeconfig): Kubeconfig {
  const merged: Kubeconfig = {
    ...(existing ?? { ...ours, clusters: [], contexts: [], users: [] }),
  };
  for (const list of LISTS) merged[list] = replaceNamed(merged[list] ?? [], ours[list]);
  merged['current-context'] = merged['current-context'] || CONTEXT;
  return merged;
}

/** Takes the operator's entries out again. Undefined: nothing of anyone else's is left. */
export function withoutCluster(existing: Kubeconfig): Kubeconfig | undefined {
  const left: Kubeconfig = { ...existing };
  for (const list of LISTS) left[list] = (left[list] ?? []).filter(({ name }) => !isOurs(name));
  if (left['current-context'] === CONTEXT) left['current-context'] = '';
  return LISTS.every((list) => left[list].length === 0) ? undefined : left;
}

/**
 * Merges the admin's kubeconfig into that of the person who called `sudo`. Answers the file. `server`: where people reach the
 * cluster, if not at the API server of this machine.
 */
export async function installUserKubeconfig(
  paths: Paths,
  user: Invoker,
  server?: string,
): Promise<string> {
  const ours = await readKubeconfig(paths.kubeconfig('admin'));
  if (!ours) throw new Error(`${paths.kubeconfig('admin')} is missing`);
  if (server !== undefined) {
    for (const { cluster } of ours.clusters) Object.assign(cluster as object, { server });
  }
  const file = join(user.home, '.kube', 'config');
  const text = readIfExists(file);
  const merged = mergeKubeconfig(await readKubeconfig(file), ours);
  if (text !== undefined && same(await parseYaml(text), merged)) return file;
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeWhole(file, await stringifyYaml(merged), SECRET_MODE);
  chmodSync(file, SECRET_MODE);
  for (const path of [dirname(file), file]) chownSync(path, user.uid, user.gid);
  return file;
}

/** Takes our entries out of a person's kubeconfig. Answers the file when it held any. */
export async function removeUserKubeconfig(user: Invoker): Promise<string | undefined> {
  const file = join(user.home, '.kube', 'config');
  const before = await readKubeconfig(file);
  if (!before) return undefined;
  const left = withoutCluster(before);
  if (left && same(left, before)) return undefined;
  if (left) writeWhole(file, await stringifyYaml(left), SECRET_MODE);
  else rmSync(file);
  if (left) chownSync(file, user.uid, user.gid);
  return file;
}

/** Whose kubeconfig to write: the person behind `sudo`, or root itself. */
export interface Invoker {
  readonly home: string;
  readonly uid: number;
  readonly gid: number;
}

/** Reads a kubeconfig file. Undefined: there is none, or it is empty. */
export async function readKubeconfig(file: string): Promise<Kubeconfig | undefined> {
  const text = readIfExists(file);
  if (text === undefined || text.trim() === '') return undefined;
  const parsed = await parseYaml(text);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new Error(`${file} is not a kubeconfig`);
  }
  return parsed as Kubeconfig;
}

function readCredentials(config: Kubeconfig | undefined): KeyAndCertificate | undefined {
  const user = config?.users?.[0]?.user as Record<string, string> | undefined;
  const certificate = user?.['client-certificate-data'];
  const key = user?.['client-key-data'];
  if (!certificate || !key) return undefined;
  return { certificate: unbase64(certificate), key: unbase64(key) };
}

function replaceNamed(existing: readonly Named[], ours: readonly Named[]): Named[] {
  const names = new Set(ours.map(({ name }) => name));
  return [...existing.filter(({ name }) => !names.has(name)), ...ours];
}

function isOurs(name: string): boolean {
  return name === CONTEXT || name === `${CONTEXT}-admin`;
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const unbase64 = (text: string): string => Buffer.from(text, 'base64').toString();
