import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parseYaml } from '../api/yaml.ts';

/** Bytes given in place, the file that holds them (re-read when it changes), or a function that answers them. */
export type Material =
  | { readonly data: string }
  | { readonly file: string }
  /** Asked again and again. `refused`: the server did not take what was answered last. */
  | { readonly provide: (refused: boolean) => Promise<string> };

/** Where an API server is and how to be known there: one context of a kubeconfig. */
export interface ClusterAccess {
  /** `https://HOST:PORT`, perhaps with a path prefix. */
  readonly server: string;
  readonly ca?: Material;
  readonly certificate?: Material;
  readonly key?: Material;
  readonly token?: Material;
  /** The name that the server's certificate must bear, when it is not the host of `server`. */
  readonly tlsServerName?: string;
  readonly insecureSkipTlsVerify?: boolean;
  /** The context's default namespace. */
  readonly namespace?: string;
}

interface NamedEntry {
  name?: string;
  [kind: string]: unknown;
}

type Fields = Record<string, unknown>;

/** Reads the current (or the named) context of a kubeconfig file. Relative file names are relative to that file. */
export async function loadKubeconfig(path: string, contextName?: string): Promise<ClusterAccess> {
  const config = await parseYaml(await readFile(path, 'utf8'));
  if (typeof config !== 'object' || config === null) throw new Error(`No kubeconfig in ${path}`);
  return accessOf(config as Fields, resolve(dirname(path)), contextName);
}

/** The access that a parsed kubeconfig describes. Pure. */
export function accessOf(config: Fields, directory: string, contextName?: string): ClusterAccess {
  const wanted = contextName ?? stringOf(config['current-context']);
  const context = entry(config.contexts, wanted, 'context');
  const cluster = entry(config.clusters, stringOf(context.cluster), 'cluster');
  const user = context.user ? entry(config.users, stringOf(context.user), 'user') : {};
  for (const field of ['exec', 'auth-provider', 'username']) {
    if (user[field] !== undefined) throw new Error(`Kubeconfig: user.${field} is not supported`);
  }
  const server = stringOf(cluster.server);
  if (!server) throw new Error(`Kubeconfig: context ${JSON.stringify(wanted)} names no server`);
  const find = (fields: Fields, name: string) => material(fields, name, directory);
  return definedOnly({
    server: server.replace(/\/+$/, ''),
    ca: find(cluster, 'certificate-authority'),
    certificate: find(user, 'client-certificate'),
    key: find(user, 'client-key'),
    token: tokenOf(user, directory),
    tlsServerName: stringOf(cluster['tls-server-name']),
    insecureSkipTlsVerify: cluster['insecure-skip-tls-verify'] === true ? true : undefined,
    namespace: stringOf(context.namespace),
  });
}

function entry(list: unknown, name: string | undefined, kind: string): Fields {
  const found = Array.isArray(list)
    ? (list as NamedEntry[]).find((candidate) => candidate.name === name)
    : undefined;
  const fields = found?.[kind];
  if (typeof fields !== 'object' || fields === null) {
    throw new Error(`Kubeconfig: no ${kind} named ${JSON.stringify(name ?? '')}`);
  }
  return fields as Fields;
}

/** `NAME-data` (base64) wins over the file `NAME`, as in client-go. */
function material(fields: Fields, name: string, directory: string): Material | undefined {
  const data = stringOf(fields[`${name}-data`]);
  if (data) return { data: Buffer.from(data, 'base64').toString('utf8') };
  const file = stringOf(fields[name]);
  return file ? { file: resolve(directory, file) } : undefined;
}

/** `tokenFile` wins over `token`, as in client-go: the file may be rotated. */
function tokenOf(user: Fields, directory: string): Material | undefined {
  const file = stringOf(user.tokenFile);
  if (file) return { file: resolve(directory, file) };
  const data = stringOf(user.token);
  return data ? { data } : undefined;
}

function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function definedOnly(
  access: {
    [K in keyof ClusterAccess]: ClusterAccess[K] | undefined;
  },
): ClusterAccess {
  return Object.fromEntries(
    Object.entries(access).filter(([, value]) => value !== undefined),
  ) as unknown as ClusterAccess;
}
