import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLUSTER_INFO, kubeconfigIn } from '../api/bootstrap-tokens.ts';
import { ApiError } from '../api/errors.ts';
import { CONFIG_MAPS } from '../api/resource-types.ts';
import type { ConfigMap } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import { createInformer } from '../client/informer.ts';
import { RestClient } from '../client/rest-client.ts';
import type { Clock } from '../util/clock.ts';
import { isObject } from '../util/json.ts';
import type { Logger } from '../util/log.ts';
import { bootstrapKubeconfig } from './component-flags.ts';
import { localServer } from './components.ts';
import { authorityIn } from './discovery.ts';
import { PUBLIC_MODE, readIfExists, SECRET_MODE, writeWhole } from './files.ts';
import { follow } from './follow.ts';
import type { Paths } from './paths.ts';
import type { ClusterSettings } from './settings.ts';

/**
 * Learns which authorities the cluster that this node has joined believes, until aborted. Components read their file again
 * by themselves. `client`: one that reads the same file.
 */
export async function keepAuthority(
  paths: Paths,
  settings: ClusterSettings,
  deps: { client: Client; clock: Clock; log: Logger },
  signal: AbortSignal,
): Promise<void> {
  const file = authorityFile(paths);
  const { namespace, name } = CLUSTER_INFO;
  const selection = { namespace, fieldSelector: `metadata.name=${name}` };
  const infos = createInformer(deps.client, CONFIG_MAPS, selection, deps);
  const act = async ([info]: readonly ConfigMap[]) => {
    if (!info) return true;
    if (await learnAuthority(file, localServer(settings), await authorityIn(kubeconfigIn(info)))) {
      deps.log.info({ file }, 'Believing other authorities of the cluster');
    }
    return true;
  };
  const problem = 'Could not learn which authorities the cluster believes';
  await follow(infos, { act, problem }, deps, signal);
}

/**
 * Writes the authorities that the cluster information tells, heard from a server that those in the file vouch for. Answers
 * whether they were news. Rejects when they do not vouch for the server: otherwise nothing could be learned any more.
 */
export async function learnAuthority(file: string, server: string, told: string): Promise<boolean> {
  if (told === '' || told === readFileSync(file, 'utf8')) return false;
  const stranger = new RestClient({ server, ca: { data: told } });
  try {
    await stranger.raw('GET', '/livez');
  } catch (err) {
    // Any answer came over a connection that they vouch for.
    if (!(err instanceof ApiError)) throw err;
  } finally {
    stranger.close();
  }
  return writeWhole(file, told, PUBLIC_MODE);
}

/** Nodes that joined long ago have a copy of the authority in each kubeconfig: from now on those name the file. */
export function nameAuthorityFile(paths: Paths): void {
  for (const file of [
    bootstrapKubeconfig(paths),
    paths.kubeconfig('kubelet'),
    paths.kubeconfig('proxy'),
  ]) {
    const config: unknown = JSON.parse(readIfExists(file) ?? 'null');
    if (!isObject(config) || !Array.isArray(config.clusters)) continue;
    const clusters = config.clusters.map(({ cluster, ...rest }) => {
      const { 'certificate-authority-data': _copy, ...others } = cluster;
      return { ...rest, cluster: { ...others, 'certificate-authority': authorityFile(paths) } };
    });
    writeWhole(file, `${JSON.stringify({ ...config, clusters }, undefined, 2)}\n`, SECRET_MODE);
  }
}

/** Where a node keeps the authorities that it believes. */
export function authorityFile(paths: Paths): string {
  return join(paths.pki, 'ca.crt');
}
