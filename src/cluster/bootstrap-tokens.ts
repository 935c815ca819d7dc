import { createHash, randomInt, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type BootstrapToken,
  bootstrapTokenOf,
  CLUSTER_INFO,
  JWS_PREFIX,
  TOKEN_NAMESPACE,
  TOKEN_SECRET_PREFIX,
  TOKEN_SECRET_TYPE,
} from '../api/bootstrap-tokens.ts';
import { CONFIG_MAPS, SECRETS } from '../api/resource-types.ts';
import type { ConfigMap, KubeObject, Secret } from '../api/types.ts';
import { parseYamlDocuments } from '../api/yaml.ts';
import type { Client } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import { applyObjects, fillIn } from './apply.ts';
import type { Paths } from './paths.ts';
import { retry, waitForObject } from './readiness.ts';
import type { ClusterSettings } from './settings.ts';
import { agreeOnParts, sharedSettings } from './shared-settings.ts';

/** The group of nodes that come in with a token of `k8ts token create`; kubeadm's. */
const NODE_TOKEN_GROUP = 'system:bootstrappers:kubeadm:default-node-token';
const MANIFESTS = ['nodes', 'authority-news'].map((name) =>
  fileURLToPath(new URL(`../../deploy/${name}.yaml`, import.meta.url)),
);
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** A new token, `ID.SECRET`. */
export function newToken(): string {
  const text = (length: number) =>
    Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
  return `${text(6)}.${text(16)}`;
}

/** Makes a token known to the cluster. `ttlMs`: how long it is good for, 0 for ever. */
export async function createToken(
  client: Client,
  token: string,
  options: { ttlMs: number; now: number; description: string },
): Promise<Secret> {
  const [id = '', secret = ''] = token.split('.');
  const { ttlMs, now, description } = options;
  const expiration = new Date(now + ttlMs).toISOString().replace(/\.\d+Z$/, 'Z');
  const data = {
    'token-id': id,
    'token-secret': secret,
    'usage-bootstrap-authentication': 'true',
    'usage-bootstrap-signing': 'true',
    'auth-extra-groups': NODE_TOKEN_GROUP,
    ...(description === '' ? {} : { description }),
    ...(ttlMs === 0 ? {} : { expiration }),
  };
  return client.create(SECRETS, {
    apiVersion: 'v1',
    kind: 'Secret',
    type: TOKEN_SECRET_TYPE,
    metadata: { namespace: TOKEN_NAMESPACE, name: TOKEN_SECRET_PREFIX + id },
    data: Object.fromEntries(
      Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
    ),
  });
}

/**
 * Resolves when the controller manager has signed the cluster's information with a token: a machine that came with it before
 * would be told that nobody knows it.
 */
export async function untilSigned(
  client: Client,
  token: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const key = JWS_PREFIX + token.split('.')[0];
  const { namespace, name } = CLUSTER_INFO;
  const wanted = {
    selection: { namespace, fieldSelector: `metadata.name=${name}` },
    isRight: (info: ConfigMap) => info.data?.[key] !== undefined,
  };
  await retry(clock, signal, () => waitForObject(client, CONFIG_MAPS, wanted, signal));
}

/** The tokens that there are, those that make no sense left out. */
export async function listTokens(client: Client): Promise<BootstrapToken[]> {
  const fieldSelector = `type=${TOKEN_SECRET_TYPE}`;
  const { items } = await client.list(SECRETS, { namespace: TOKEN_NAMESPACE, fieldSelector });
  return items.map(bootstrapTokenOf).filter((token) => token !== undefined);
}

export async function deleteToken(client: Client, idOrToken: string): Promise<void> {
  const [id = ''] = idOrToken.split('.');
  await client.delete(SECRETS, { namespace: TOKEN_NAMESPACE, name: TOKEN_SECRET_PREFIX + id });
}

/** Opens the door for nodes (deploy/nodes.yaml). Done again it changes nothing. Throws what could not be applied. */
export async function letNodesIn(
  client: Client,
  paths: Paths,
  settings: ClusterSettings,
  signal: AbortSignal,
): Promise<void> {
  const server = `https://${addressForOthers(settings)}`;
  // A JSON text is a YAML scalar when it is quoted once more.
  const quoted = (value: unknown) => JSON.stringify(JSON.stringify(value));
  const agreed = await agreeOnParts(client, settings, signal);
  const manifests = MANIFESTS.map((file) => readFileSync(file, 'utf8'));
  const manifest = fillIn(manifests.join('---\n'), {
    CLUSTER_INFO: quoted(clusterInfo(server, authorityOf(paths).certificate)),
    CLUSTER_SETTINGS: quoted(sharedSettings(agreed.settings)),
  });
  const objects = (await parseYamlDocuments(manifest)) as KubeObject[];
  const problems = await applyObjects(client, objects, signal);
  if (problems.length > 0) throw new Error(problems.join('\n'));
}

/** Where other machines find the cluster: `HOST:PORT` of its balancer or, without one, of this machine. */
export function addressForOthers({ endpoint, nodeIp, port }: ClusterSettings): string {
  return endpoint === '' ? `${nodeIp}:${port}` : endpoint;
}

/** The kubeconfig that tells a stranger where the cluster is and by which authority it is known; no user. */
function clusterInfo(server: string, ca: string): unknown {
  const authority = Buffer.from(ca).toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: '', cluster: { server, 'certificate-authority-data': authority } }],
  };
}

/** The cluster's authority: its certificate, and how `--ca-cert-hash` names it. */
export function authorityOf(paths: Paths): { certificate: string; hash: string } {
  const certificate = readFileSync(join(paths.pki, 'ca.crt'), 'utf8');
  return { certificate, hash: authorityHash(certificate) };
}

/** How `--ca-cert-hash` names an authority: its public key's digest (RFC 7469). */
export function authorityHash(ca: string): string {
  const key = new X509Certificate(ca).publicKey.export({ type: 'spki', format: 'der' });
  return `sha256:${createHash('sha256').update(key).digest('hex')}`;
}
