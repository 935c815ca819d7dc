import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { addressOf, defaultRouteDevice } from '../host/links.ts';
import { ensureIdentities } from './certificate-care.ts';
import { CNI_FILE, cniConflist } from './cni.ts';
import { auditPolicyCopy, kubeletConfig, kubeletConfigFile } from './component-flags.ts';
import { CNI_BIN, type CniPlaces, containerdConfig, foreignCni, ownCni } from './containerd.ts';
import { ensureEncryption } from './encryption.ts';
import { readIfExists, SECRET_MODE, writeWhole } from './files.ts';
import { ensureNodesBridge, NODES_CIDR } from './local-nodes.ts';
import { installPodNetwork, prepareKernel } from './network.ts';
import type { Paths } from './paths.ts';
import { type ClusterSettings, DEFAULT_SETTINGS } from './settings.ts';
import { podMtu } from './vxlan.ts';

/** The settings of this machine: what is not chosen comes from its name and its default route. */
export function settingsFor(
  chosen: Partial<Omit<ClusterSettings, 'nodeName' | 'nodeIp'>> & {
    nodeName?: string | undefined;
    nodeIp?: string | undefined;
  },
): ClusterSettings {
  const nodeIp = chosen.nodeIp ?? nodeAddress();
  if (nodeIp === undefined) {
    throw new Error(
      'No IPv4 address was found on the device of the default route; choose one with --node-ip',
    );
  }
  // Node names are DNS names: upstream's kubelet lowers the host name too.
  const nodeName = (chosen.nodeName ?? hostname()).trim().toLowerCase();
  return { ...DEFAULT_SETTINGS, ...chosen, nodeName, nodeIp };
}

/** The address of the device with the default route. Undefined where there is none. */
export function nodeAddress(): string | undefined {
  const device = defaultRouteDevice();
  return device === undefined ? undefined : addressOf(device);
}

/**
 * Makes directories, certificates, configuration and kernel rules: everything that must be there before the
 * first process starts. Done again it changes nothing, except what has lapsed or no longer fits.
 */
export async function prepare(
  paths: Paths,
  settings: ClusterSettings,
  now: number,
  signal?: AbortSignal,
): Promise<void> {
  if (settings.nodes > 1) await ensureNodesBridge();
  const node = prepareNode(paths, settings, { joined: false }, signal);
  ensureEncryption(paths);
  await ensureIdentities(paths, settings, now);
  // The first node knows its range beforehand, so that its Pods need not wait; pod-routes.ts keeps it true.
  const conflist = join(paths.cni.config, CNI_FILE);
  const isOurs = settings.network !== 'none' && settings.nodePodCidr !== '';
  if (isOurs && !existsSync(conflist)) {
    const mtu = await podMtu(settings.network, settings.nodeIp);
    writeWhole(conflist, cniConflist(paths, settings.nodePodCidr, mtu), SECRET_MODE);
  }
  const { auditPolicyFile } = settings;
  const copy = auditPolicyCopy(paths);
  // An earlier start has it, if it is gone from where it was.
  if (auditPolicyFile && (existsSync(auditPolicyFile) || !existsSync(copy))) {
    writeWhole(copy, readFileSync(auditPolicyFile, 'utf8'), SECRET_MODE);
  }
  await node;
  saveSettings(paths, settings);
}

export function saveSettings(paths: Paths, settings: ClusterSettings): void {
  writeWhole(settingsFile(paths), `${JSON.stringify(settings, undefined, 2)}\n`);
}

/** What the cluster of this root was last started with. */
export function savedSettings(paths: Paths): ClusterSettings {
  const text = readIfExists(settingsFile(paths));
  if (text === undefined) throw new Error(`${paths.config} holds no cluster; see: k8ts up`);
  return { ...DEFAULT_SETTINGS, ...(JSON.parse(text) as ClusterSettings) };
}

/** Where they are kept. */
export function settingsFile(paths: Paths): string {
  return join(paths.config, 'cluster.json');
}

/** What every node needs before its first process, whoever signs its certificates. */
export async function prepareNode(
  paths: Paths,
  settings: ClusterSettings,
  options: { joined: boolean },
  signal?: AbortSignal,
): Promise<void> {
  makeDirectories(paths);
  writeWhole(kubeletConfigFile(paths), kubeletConfig(paths, settings, options), SECRET_MODE);
  const { network } = settings;
  const cni = network === 'none' ? foreignCni(paths) : ownCni(paths);
  writeWhole(paths.containerd.config, containerdConfig(paths, { systemdCgroup: false, cni }));
  if (network === 'none') {
    await openForPlugins(cni, signal);
    return;
  }
  const ranges = settings.nodes > 1 ? [settings.podCidr, NODES_CIDR] : [settings.podCidr];
  await installPodNetwork(ranges, signal);
}

/** What other networks' plugins find: a place for their files, the usual plugins in it, and a kernel that forwards. */
async function openForPlugins(cni: CniPlaces, signal?: AbortSignal): Promise<void> {
  for (const directory of Object.values(cni)) mkdirSync(directory, { recursive: true });
  for (const name of readdirSync(CNI_BIN)) {
    const link = join(cni.programs, name);
    if (!existsSync(link)) symlinkSync(join(CNI_BIN, name), link);
  }
  await prepareKernel(signal);
}

function makeDirectories(paths: Paths): void {
  const { config, pki, state, store, etcd, run, kubelet } = paths;
  const secret = [
    ...[config, pki, state, store, etcd, run, kubelet],
    ...[paths.logs, paths.staticPods, paths.containerd.registries],
  ];
  for (const path of secret) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    chmodSync(path, 0o700); // It may be older than this rule.
  }
  const open = [paths.podLogs, paths.containerd.root, paths.cni.config, paths.cni.data];
  for (const path of open) mkdirSync(path, { recursive: true });
}

/** True when an earlier `up` has prepared this root. */
export function isPrepared(paths: Paths): boolean {
  return existsSync(paths.kubeconfig('admin'));
}

/** The last lines of a log, for an error message. */
export function lastLines(file: string, count: number): string {
  if (!existsSync(file)) return '';
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
}
