import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLUSTER_INFO, kubeconfigIn } from '../api/bootstrap-tokens.ts';
import { CONFIG_MAPS } from '../api/resource-types.ts';
import { RestClient } from '../client/rest-client.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import { isObject } from '../util/json.ts';
import type { Logger } from '../util/log.ts';
import { bootstrapKubeconfig } from './component-flags.ts';
import { localServer } from './components.ts';
import { authorityIn } from './discovery.ts';
import { PUBLIC_MODE, readIfExists, SECRET_MODE, writeWhole } from './files.ts';
import type { Paths } from './paths.ts';
import type { ClusterSettings } from './settings.ts';

/** As often as a kubelet renews its lease. */
const LOOK_MS = 10_000;

/**
 * Learns which authorities the cluster that this node has joined believes, until aborted. Components read their file again
 * by themselves.
 */
export async function keepAuthority(
  paths: Paths,
  settings: ClusterSettings,
  { clock, log }: { clock: Clock; log: Logger },
  signal: AbortSignal,
): Promise<void> {
  const file = authorityFile(paths);
  let problem = '';
  while (!signal.aborted) {
    try {
      if (await learnAuthority(file, localServer(settings))) {
        log.info({ file }, 'Believing other authorities of the cluster');
      }
      problem = '';
    } catch (err) {
      const text = errorMessage(err);
      // Said once, not at every look.
      if (text !== problem) {
        log.warn({ err: text }, 'Could not ask which authorities the cluster believes');
      }
      problem = text;
    }
    await clock.sleep(LOOK_MS, signal).catch(() => {});
  }
}

/**
 * Asks for the cluster information, which everybody may read, over a connection that the authorities in the file vouch for,
 * and writes what it says into the file. Answers whether it was news. Rejects when the server is not believed.
 */
export async function learnAuthority(file: string, server: string): Promise<boolean> {
  const known = readFileSync(file, 'utf8');
  const told = await toldBy(server, known);
  if (told === '' || told === known) return false;
  // It must vouch for who says so, too: otherwise nothing could be learned any more.
  if ((await toldBy(server, told)) !== told) return false;
  return writeWhole(file, told, PUBLIC_MODE);
}

async function toldBy(server: string, ca: string): Promise<string> {
  const stranger = new RestClient({ server, ca: { data: ca } });
  try {
    return await authorityIn(kubeconfigIn(await stranger.get(CONFIG_MAPS, CLUSTER_INFO)));
  } finally {
    stranger.close();
  }
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
