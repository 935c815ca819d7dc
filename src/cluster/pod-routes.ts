import { join } from 'node:path';
import { NODES } from '../api/resource-types.ts';
import type { Node } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import { createInformer } from '../client/informer.ts';
import { run } from '../host/exec.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import { CNI_FILE, cniConflist } from './cni.ts';
import { SECRET_MODE, writeWhole } from './files.ts';
import { follow } from './follow.ts';
import type { Paths } from './paths.ts';
import type { ClusterSettings } from './settings.ts';
import {
  ensureVxlan,
  type PodRoute,
  podMtu,
  removeVxlan,
  tunnelCommands,
  VXLAN_DEVICE,
} from './vxlan.ts';

/** Marks our routes (`proto` of ip-route(8)): others' are never touched, and ours are found again. */
const PROTOCOL = '133';

interface Deps {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * The Pod network between nodes, the way of flannel's host-gw: to each other node's Pod range a route through that node,
 * which must be on a link of ours. It also hands this node's own range to the CNI plugins as soon as the node has one.
 * Routes stay when this ends: killing it breaks nothing.
 */
export async function keepPodRoutes(
  paths: Paths,
  { nodeName, nodeIp, network }: Pick<ClusterSettings, 'nodeName' | 'nodeIp' | 'network'>,
  deps: Deps,
  signal: AbortSignal,
): Promise<void> {
  if (network === 'none') return;
  const { client, clock, log } = deps;
  const node = { nodeName, nodeIp, network, mtu: await podMtu(network, nodeIp) };
  const nodes = createInformer(client, NODES, {}, { clock, log });
  const act = (known: readonly Node[]) => bringUp({ ...node, paths, nodes: known }, log, signal);
  await follow(nodes, { act, problem: 'Routes to Pods not updated' }, deps, signal);
}

interface RouteTask extends Pick<ClusterSettings, 'nodeName' | 'nodeIp' | 'network'> {
  readonly paths: Paths;
  readonly mtu: number | undefined;
  readonly nodes: readonly Node[];
}

/** Where in the tunnel each node is; said again it changes nothing. */
async function tellTunnel(routes: readonly PodRoute[], signal: AbortSignal): Promise<void> {
  const all = routes.map(tunnelCommands);
  for (const program of ['ip', 'bridge'] as const) {
    const lines = all.flatMap((commands) => commands[program]);
    const input = `${lines.join('\n')}\n`;
    if (lines.length > 0) await run(program, ['-batch', '-'], { input }, signal);
  }
}

/** Answers false when something is to be tried again. */
async function bringUp(
  { paths, nodeName, nodeIp, network, mtu, nodes }: RouteTask,
  log: Logger,
  signal: AbortSignal,
): Promise<boolean> {
  const own = nodes.find(({ metadata }) => metadata.name === nodeName)?.spec?.podCIDR;
  if (own !== undefined) {
    writeWhole(join(paths.cni.config, CNI_FILE), cniConflist(paths, own, mtu), SECRET_MODE);
  }
  const wanted = routesOf(nodes, nodeName);
  if (network === 'vxlan') {
    await ensureVxlan(nodeIp, signal);
    await tellTunnel(wanted, signal);
  }
  const present = parseRoutes((await ip(['route', 'show', 'proto', PROTOCOL], signal)).stdout);
  let ok = true;
  for (const { cidr, via } of wanted) {
    const [gateway = ''] = network === 'vxlan' ? cidr.split('/') : [via];
    if (present.some((route) => route.cidr === cidr && route.via === gateway)) continue;
    const where = network === 'vxlan' ? ['dev', VXLAN_DEVICE, 'onlink'] : [];
    try {
      await ip(['route', 'replace', cidr, 'via', gateway, ...where, 'proto', PROTOCOL], signal);
      log.info({ cidr, via }, 'Added a route to the Pods of another node');
    } catch (err) {
      ok = false;
      log.warn(
        { cidr, via, err: errorMessage(err) },
        'Pods of another node cannot be reached: it is on no link of this node',
      );
    }
  }
  for (const { cidr } of present) {
    if (!wanted.some((route) => route.cidr === cidr)) {
      await ip(['route', 'delete', cidr, 'proto', PROTOCOL], signal);
    }
  }
  return ok;
}

/** Where the Pods of the other nodes are. Pure. */
export function routesOf(nodes: readonly Node[], nodeName: string): PodRoute[] {
  return nodes.flatMap(({ metadata, spec, status }) => {
    const via = status?.addresses?.find(({ type }) => type === 'InternalIP')?.address;
    const cidr = spec?.podCIDR;
    if (metadata.name === nodeName || via === undefined || cidr === undefined) return [];
    return [{ cidr, via }];
  });
}

/** Reads `ip route show`: lines of `CIDR via ADDRESS dev DEVICE`. Pure. */
export function parseRoutes(text: string): PodRoute[] {
  return text.split('\n').flatMap((line) => {
    const [, cidr, via] = /^(\S+) via (\S+)/.exec(line) ?? [];
    return cidr === undefined || via === undefined ? [] : [{ cidr, via }];
  });
}

/** Takes our routes away. */
export async function removePodRoutes(signal?: AbortSignal): Promise<void> {
  const { stdout } = await ip(['route', 'show', 'proto', PROTOCOL], signal);
  for (const { cidr } of parseRoutes(stdout)) {
    await ip(['route', 'delete', cidr, 'proto', PROTOCOL], signal);
  }
  await removeVxlan();
}

function ip(args: readonly string[], signal?: AbortSignal) {
  return run('ip', ['-4', ...args], {}, signal);
}
