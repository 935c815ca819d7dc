import { existsSync, linkSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from '../client/client.ts';
import { run } from '../host/exec.ts';
import type { Clock } from '../util/clock.ts';
import {
  authorityOf,
  createToken,
  deleteToken,
  letNodesIn,
  newToken,
  untilSigned,
} from './bootstrap-tokens.ts';
import type { SelfCommand } from './components.ts';
import { imageBundles } from './images.ts';
import { membershipOf } from './membership.ts';
import { type Paths, pathsUnder, shortHash } from './paths.ts';
import type { ClusterSettings } from './settings.ts';

/**
 * More nodes on one machine, for those who develop and test: each in a network namespace of its own, with its own
 * containerd, kubelet and proxy below a directory of its own. They join like any other machine.
 */
export const NODES_BRIDGE = 'k8ts-nodes';
/** The network between them; the machine itself is its gateway. */
export const NODES_CIDR = '172.29.77.0/24';
export const GATEWAY = '172.29.77.1';

const FIRST_ADDRESS = 10;
const MAX_NODES = 100;
const JOIN_TIMEOUT_MS = 180_000;
const TOKEN_TTL_MS = 10 * 60_000;

/** A node of this machine besides the first. */
export interface LocalNode {
  readonly name: string;
  readonly address: string;
  readonly namespace: string;
  /** The end of its cable on the machine. */
  readonly link: string;
  readonly paths: Paths;
}

/** The nodes that `k8ts up --nodes COUNT` adds to the first. Pure. */
export function localNodes(paths: Paths, count: number): LocalNode[] {
  return Array.from({ length: Math.max(0, count - 1) }, (_, i) => localNode(paths, i + 1));
}

/** The extra node of this name. Throws when there is none. */
export function localNodeNamed(paths: Paths, name: string): LocalNode {
  const there = existingNodes(paths);
  const found = there.find((node) => node.name === name);
  if (found) return found;
  const names = there.map((node) => node.name).join(', ') || 'none; k8ts up --nodes 3 makes two';
  throw new Error(`There is no extra node ${name} on this machine; there are: ${names}`);
}

/** Those that have been made. */
export function existingNodes(paths: Paths): LocalNode[] {
  const folder = join(paths.state, 'nodes');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map((name) => Number(/^worker-(\d+)$/.exec(name)?.[1]))
    .filter((index) => index > 0)
    .sort((a, b) => a - b)
    .map((index) => localNode(paths, index));
}

function localNode(paths: Paths, index: number): LocalNode {
  if (index > MAX_NODES) throw new Error(`At most ${MAX_NODES} extra nodes fit on one machine`);
  const name = `worker-${index}`;
  const cluster = shortHash(paths.root);
  return {
    name,
    address: GATEWAY.replace(/\d+$/, String(FIRST_ADDRESS + index)),
    namespace: `k8ts-${cluster}-${name}`,
    link: `k8ts${index}-${cluster.slice(0, 6)}`,
    paths: pathsUnder(join(paths.state, 'nodes', name)),
  };
}

/** Makes the bridge between the nodes. Done again it changes nothing. */
export async function ensureNodesBridge(): Promise<void> {
  const { exitCode } = await run('ip', ['link', 'show', NODES_BRIDGE], { acceptExitCodes: [0, 1] });
  if (exitCode === 0) return;
  const [, bits = ''] = NODES_CIDR.split('/');
  const commands = [
    `link add ${NODES_BRIDGE} type bridge`,
    `addr add ${GATEWAY}/${bits} dev ${NODES_BRIDGE}`,
    `link set ${NODES_BRIDGE} up`,
  ];
  await run('ip', ['-batch', '-'], { input: `${commands.join('\n')}\n` });
}

interface Deps {
  readonly client: Client;
  readonly clock: Clock;
  readonly self: SelfCommand;
  readonly progress: (line: string) => void;
}

/** Makes, joins and starts the extra nodes, one after the other. Those that run are left alone. */
export async function startLocalNodes(
  paths: Paths,
  settings: ClusterSettings,
  deps: Deps,
  signal: AbortSignal,
): Promise<void> {
  for (const node of localNodes(paths, settings.nodes)) {
    await plugIn(node, signal);
    if (membershipOf(node.paths)) await startNode(node, deps.self, signal);
    else await joinNode(node, { paths, settings }, deps, signal);
    deps.progress(`Node ${node.name} is Ready`);
  }
}

/** Starts a node that has joined before, and mends its cable. */
export async function startNode(
  node: LocalNode,
  self: SelfCommand,
  signal?: AbortSignal,
): Promise<void> {
  await plugIn(node, signal);
  await run('ip', ['link', 'set', node.link, 'up'], {}, signal);
  await withinNode(node, self, ['up', '--detach'], signal);
}

/** Switches a node off: its components and its Pods end, and nobody tells the API server. */
export async function stopNode(node: LocalNode, self: SelfCommand): Promise<void> {
  if (hasNamespace(node)) await withinNode(node, self, ['down']);
}

/** Pulls a node's cable: it runs on, alone. */
export async function cutNode(node: LocalNode): Promise<void> {
  await run('ip', ['link', 'set', node.link, 'down']);
}

/** Stops the nodes and removes every trace of them. */
export async function removeLocalNodes(paths: Paths, self: SelfCommand): Promise<void> {
  for (const node of existingNodes(paths)) {
    if (hasNamespace(node)) {
      await withinNode(node, self, ['down', '--purge']);
      await run('ip', ['netns', 'delete', node.namespace]);
    }
    rmSync(node.paths.root, { recursive: true, force: true });
  }
  await run('ip', ['link', 'delete', NODES_BRIDGE], { acceptExitCodes: [0, 1] });
}

function hasNamespace({ namespace }: LocalNode): boolean {
  return existsSync(`/run/netns/${namespace}`);
}

/** A namespace with a cable to the bridge. */
async function plugIn(node: LocalNode, signal?: AbortSignal): Promise<void> {
  if (hasNamespace(node)) return;
  const { namespace, link, address } = node;
  const [, bits = ''] = NODES_CIDR.split('/');
  await run('ip', ['netns', 'add', namespace], {}, signal);
  const outside = [
    `link add ${link} type veth peer name eth0 netns ${namespace}`,
    `link set ${link} master ${NODES_BRIDGE} up`,
  ];
  await run('ip', ['-batch', '-'], { input: `${outside.join('\n')}\n` }, signal);
  const within = [
    'link set lo up',
    `addr add ${address}/${bits} dev eth0`,
    'link set eth0 up',
    `route add default via ${GATEWAY}`,
  ];
  const input = `${within.join('\n')}\n`;
  await run('ip', ['-netns', namespace, '-batch', '-'], { input }, signal);
}

async function joinNode(
  node: LocalNode,
  { paths, settings }: { paths: Paths; settings: ClusterSettings },
  { client, clock, self }: Deps,
  signal: AbortSignal,
): Promise<void> {
  shareImages(paths, node.paths);
  await letNodesIn(client, paths, settings, signal);
  const token = newToken();
  const description = `The extra node ${node.name} of this machine`;
  await createToken(client, token, { ttlMs: TOKEN_TTL_MS, now: clock.now(), description });
  await untilSigned(client, token, clock, signal);
  const server = `${settings.nodeIp}:${settings.port}`;
  const identity = ['--token', token, '--ca-cert-hash', authorityOf(paths).hash];
  const names = ['--node-name', node.name, '--node-ip', node.address];
  await withinNode(node, self, ['join', server, ...identity, ...names], signal);
  await deleteToken(client, token);
}

/** The same archives, without a copy of their bytes. */
function shareImages(from: Paths, to: Paths): void {
  const [source, target] = [imageBundles(from), imageBundles(to)];
  if (!existsSync(source)) return;
  mkdirSync(target, { recursive: true });
  for (const name of readdirSync(source)) {
    if (!existsSync(join(target, name))) linkSync(join(source, name), join(target, name));
  }
}

/** Runs a command of k8ts as the node. */
export async function withinNode(
  { namespace, paths }: LocalNode,
  { program, args }: SelfCommand,
  words: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  // Not `ip netns exec`: that mounts /sys anew, which hides the cgroups from runc.
  const command = [`--net=/run/netns/${namespace}`, program, ...args, ...words];
  const options = { timeoutMs: JOIN_TIMEOUT_MS };
  await run('nsenter', [...command, '--root', paths.root], options, signal);
}
