import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { CLUSTER_INFO, kubeconfigIn } from '../api/bootstrap-tokens.ts';
import { isNotFound } from '../api/errors.ts';
import { CONFIG_MAPS, NODES } from '../api/resource-types.ts';
import type { KubeObject, Node } from '../api/types.ts';
import { parseYaml, parseYamlDocuments } from '../api/yaml.ts';
import type { Client } from '../client/client.ts';
import { isObject } from '../util/json.ts';
import { apiServers } from './api-servers.ts';
import { applyObjects } from './apply.ts';
import { authorityOf } from './bootstrap-tokens.ts';
import { PORTS } from './component-flags.ts';
import type { Paths } from './paths.ts';

const ANSWER_WITHIN_MS = 3000;
const APPLIED_WITHIN_MS = 30_000;
/** What a node must be allowed, in order to be told. */
const MANIFEST = fileURLToPath(new URL('../../deploy/authority-news.yaml', import.meta.url));

/**
 * Tells joined nodes by the cluster information which authorities count, once every API server has a certificate of the
 * newest: nodes get certificates of it, and any server must know those. Answers the servers that have none yet.
 */
export async function announceAuthority(client: Client, paths: Paths): Promise<string[]> {
  const behind = await serversBehind(client, paths);
  if (behind.length === 0) await publish(client, authorityOf(paths).certificate);
  return behind;
}

/** Lets joined nodes hear the news. */
async function letNodesListen(client: Client): Promise<void> {
  const objects = (await parseYamlDocuments(readFileSync(MANIFEST, 'utf8'))) as KubeObject[];
  const problems = await applyObjects(client, objects, AbortSignal.timeout(APPLIED_WITHIN_MS));
  if (problems.length > 0) throw new Error(problems.join('\n'));
}

async function publish(client: Client, ca: string): Promise<void> {
  const info = await client.get(CONFIG_MAPS, CLUSTER_INFO).catch((err: unknown) => {
    if (isNotFound(err)) return undefined;
    throw err;
  });
  // No other machine has been let in yet.
  if (!info) return;
  await letNodesListen(client);
  const config = (await parseYaml(kubeconfigIn(info))) as { clusters: unknown[] };
  const [first] = config.clusters as { name: string; cluster: Record<string, string> }[];
  const field = 'certificate-authority-data';
  const data = Buffer.from(ca).toString('base64');
  if (!isObject(first) || first.cluster[field] === data) return;
  const clusters = [{ ...first, cluster: { ...first.cluster, [field]: data } }];
  const kubeconfig = JSON.stringify({ ...config, clusters });
  await client.patch(CONFIG_MAPS, CLUSTER_INFO, { type: 'merge', body: { data: { kubeconfig } } });
}

/** API servers that serve with a certificate of an older authority, or do not answer. */
function serversBehind(client: Client, paths: Paths): Promise<string[]> {
  return apiServers(client).then((addresses) =>
    behindOf(new Map(addresses.map((address) => [address, address])), paths),
  );
}

/** The same of nodes, by the certificates that their kubelets serve with. */
export async function nodesBehind(client: Client, paths: Paths): Promise<string[]> {
  const { items } = await client.list(NODES);
  const addresses = items.map((node) => [node.metadata.name, kubeletAddress(node)] as const);
  return behindOf(new Map(addresses), paths);
}

function kubeletAddress({ status }: Node): string {
  const found = status?.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? '';
  const port = status?.daemonEndpoints?.kubeletEndpoint?.Port ?? PORTS.kubelet;
  return isIPv6(found) ? `[${found}]:${port}` : `${found}:${port}`;
}

async function behindOf(addresses: ReadonlyMap<string, string>, paths: Paths): Promise<string[]> {
  const newest = new X509Certificate(authorityOf(paths).certificate);
  const found = await Promise.all(
    [...addresses].map(async ([name, address]) => {
      const served = await certificateAt(address);
      return served?.verify(newest.publicKey) ? [] : [name];
    }),
  );
  return found.flat().sort();
}

/** What is served there; nobody is believed by that. Undefined: nobody answers. */
function certificateAt(address: string): Promise<X509Certificate | undefined> {
  const { hostname, port } = new URL(`https://${address}`);
  const host = hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port || 443), rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate());
      socket.destroy();
    });
    socket.setTimeout(ANSWER_WITHIN_MS, () => socket.destroy());
    socket.on('error', () => {});
    socket.on('close', () => resolve(undefined));
  });
}
