import type { Secret } from '../api/types.ts';
import type { AuthConfig } from './runtime/runtime.ts';

/** One registry's entry of a docker configuration. */
export interface PullSecret {
  /** Registry as the secret names it: host, perhaps with port, path, scheme or a `*` in the host. */
  registry: string;
  auth: AuthConfig;
  /** The secret that holds it. */
  source: { uid: string; namespace: string; name: string };
}

interface DockerEntry {
  username?: string;
  password?: string;
  auth?: string;
  identitytoken?: string;
  registrytoken?: string;
}

/** The entries of a secret of type kubernetes.io/dockerconfigjson or dockercfg; none when it is of another kind. */
export function entriesOfSecret(secret: Secret): PullSecret[] {
  const json = secret.data?.['.dockerconfigjson'];
  const legacy = secret.data?.['.dockercfg'];
  const text = json ?? legacy;
  if (text === undefined) return [];
  const parsed = JSON.parse(Buffer.from(text, 'base64').toString('utf8')) as {
    auths?: Record<string, DockerEntry>;
  };
  const entries = json === undefined ? (parsed as Record<string, DockerEntry>) : parsed.auths;
  const { uid, namespace, name } = secret.metadata;
  return Object.entries(entries ?? {}).map(([registry, entry]) => ({
    registry,
    auth: authOf(entry),
    source: { uid, namespace, name },
  }));
}

/** Without the registry's address: the image names it, and containerd takes `HOST:PORT` for a broken URL. */
function authOf(entry: DockerEntry): AuthConfig {
  const auth: AuthConfig = {};
  const decoded = entry.auth ? Buffer.from(entry.auth, 'base64').toString('utf8') : '';
  const colon = decoded.indexOf(':');
  const username = entry.username ?? (colon < 0 ? undefined : decoded.slice(0, colon));
  const password = entry.password ?? (colon < 0 ? undefined : decoded.slice(colon + 1));
  if (username !== undefined) auth.username = username;
  if (password !== undefined) auth.password = password;
  if (entry.identitytoken !== undefined) auth.identityToken = entry.identitytoken;
  if (entry.registrytoken !== undefined) auth.registryToken = entry.registrytoken;
  return auth;
}

const DOCKER_HUB = 'docker.io';
const HUB_NAMES = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);

/** The credentials that fit the image, the most specific registry path first. */
export function pullCredentials(image: string, secrets: readonly PullSecret[]): PullSecret[] {
  const { host, path } = imageParts(image);
  return secrets
    .map((secret) => ({ secret, ...registryParts(secret.registry) }))
    .filter(
      (r) => hostMatches(r.host, host) && `${path}/`.startsWith(r.path === '' ? '' : `${r.path}/`),
    )
    .sort((a, b) => b.path.length - a.path.length)
    .map(({ secret }) => secret);
}

function imageParts(image: string): { host: string; path: string } {
  const slash = image.indexOf('/');
  const first = slash < 0 ? '' : image.slice(0, slash);
  const isHost = first.includes('.') || first.includes(':') || first === 'localhost';
  const path = (isHost ? image.slice(slash + 1) : image).replace(/@.*$/, '').replace(/:[^/]*$/, '');
  return { host: isHost ? canonicalHost(first) : DOCKER_HUB, path };
}

function registryParts(registry: string): { host: string; path: string } {
  const bare = registry
    .replace(/^https?:\/\//, '')
    .replace(/\/v[12]\/?$/, '')
    .replace(/\/$/, '');
  const slash = bare.indexOf('/');
  const host = slash < 0 ? bare : bare.slice(0, slash);
  return { host: canonicalHost(host), path: slash < 0 ? '' : bare.slice(slash + 1) };
}

const canonicalHost = (host: string): string => (HUB_NAMES.has(host) ? DOCKER_HUB : host);

/** `*` stands for one label of the host name. */
function hostMatches(pattern: string, host: string): boolean {
  if (!pattern.includes('*')) return pattern === host;
  const labels = pattern.split('.');
  const given = host.split('.');
  if (labels.length !== given.length) return false;
  return labels.every((label, i) => {
    const expression = label.split('*').map(escapeRegExp).join('.*');
    return new RegExp(`^${expression}$`).test(given[i] ?? '');
  });
}

const escapeRegExp = (text: string): string => text.replace(/[\\^$+?.()|[\]{}]/g, '\\$&');
