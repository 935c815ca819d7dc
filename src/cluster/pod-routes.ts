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
import type { Paths } from './paths.ts';

/** Marks our routes (`proto` of ip-route(8)): others' are never touched, and ours are found again. */
const PROTOCOL = '133';
const RETRY_MS = 5000;

/** A route to the Pods of another node. */
export interface PodRoute {
  readonly cidr: string;
  readonly via: string;
}

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
  { paths, nodeName }: { paths: Paths; nodeName: string },
  deps: Deps,
  signal: AbortSignal,
): Promise<void> {
  const { client, clock, log } = deps;
  const nodes = createInformer(client, NODES, {}, { clock, log });
  let wake = () => {};
  const changed = () => wake();
  nodes.addHandler({ onAdd: changed, onUpdate: changed, onDelete: changed });
  const watching = nodes.run(signal);
  try {
    await nodes.whenSynced(signal);
    signal.addEventListener('abort', changed, { once: true });
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const done = await bringUp({ paths, nodeName, nodes: nodes.list() }, log, signal).catch(
        (err: unknown) => {
          if (!signal.aborted) log.warn({ err: errorMessage(err) }, 'Routes to Pods not updated');
          return false;
        },
      );
      if (signal.aborted) break;
      const cancel = done ? undefined : clock.after(RETRY_MS, changed);
      await woken;
      cancel?.();
    }
  } catch (err) {
    if (!signal.aborted) throw err;
  }
  await watching;
}

/** Answers false when something is to be tried again. */
async function bringUp(
  { paths, nodeName, nodes }: { paths: Paths; nodeName: string; nodes: readonly Node[] },
  log: Logger,
  signal: AbortSignal,
): Promise<boolean> {
  const own = nodes.find(({ metadata }) => metadata.name === nodeName)?.spec?.podCIDR;
  if (own !== undefined) {
    writeWhole(join(paths.cni.config, CNI_FILE), cniConflist(paths, own), SECRET_MODE);
  }
  const wanted = routesOf(nodes, nodeName);
  const present = parseRoutes((await ip(['route', 'show', 'proto', PROTOCOL], signal)).stdout);
  let ok = true;
  for (const { cidr, via } of wanted) {
    if (present.some((route) => route.cidr === cidr && route.via === via)) continue;
    try {
      await ip(['route', 'replace', cidr, 'via', via, 'proto', PROTOCOL], signal);
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
}

function ip(args: readonly string[], signal?: AbortSignal) {
  return run('ip', ['-4', ...args], {}, signal);
}
