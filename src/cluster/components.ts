import { createHash } from 'node:crypto';
import { arch } from 'node:os';
import { join } from 'node:path';
import {
  apiserverFlags,
  bootstrapKubeconfig,
  controllerManagerFlags,
  etcdFlags,
  type Flags,
  flagList,
  kubeletConfigFile,
  kubeletFlags,
  localVolumes,
  proxyFlags,
  schedulerFlags,
} from './component-flags.ts';
import type { Paths } from './paths.ts';
import type { ClusterSettings } from './settings.ts';

/** A process that the supervisor keeps running. */
export interface ProcessSpec {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** Stopped in this order, those of one stage together: what writes goes before what it writes to. */
  readonly stopStage: number;
}

/** How this very k8ts is run: Node, its options, and the file of the command line. */
export interface SelfCommand {
  readonly program: string;
  readonly args: readonly string[];
  /** What stands before the command lines of those that need nothing of the kernel. Absent: nothing. */
  readonly confinement?: readonly string[] | undefined;
}

/** What this node's own components reach an API server at: the one beside them, or the balancer of the node. */
export function localServer(settings: Pick<ClusterSettings, 'port'>): string {
  return `https://127.0.0.1:${settings.port}`;
}

/** What people reach the cluster at. */
export function outsideServer(settings: Pick<ClusterSettings, 'port' | 'endpoint'>): string {
  return settings.endpoint === '' ? localServer(settings) : `https://${settings.endpoint}`;
}

/**
 * The command lines of one machine that is control plane and node in one. Flags are upstream's. Pure.
 * Of a control plane in static Pods only what runs Pods is a process.
 */
export function processSpecs(
  paths: Paths,
  settings: ClusterSettings,
  self: SelfCommand,
): ProcessSpec[] {
  const component = componentsOf(paths, settings, self);
  const kubelet = component('kubelet', 0, kubeletFlags(paths, settings));
  if (settings.staticPods) return [containerdSpec(paths), kubelet];
  return [
    containerdSpec(paths),
    ...(settings.store === 'stacked' ? [etcdSpec(paths, settings)] : []),
    component('apiserver', 1, {
      ...apiserverFlags(paths, settings),
      ...(settings.store === 'lmdb' ? { 'data-dir': paths.store } : {}),
      'snapshot-dir': paths.snapshots,
    }),
    kubelet,
    {
      ...component('controller-manager', 0, {
        ...controllerManagerFlags(paths, settings),
        'local-path-dir': localVolumes(paths),
      }),
      // It holds a copy of every object: what is new must not take as much room as what is kept.
      env: { NODE_OPTIONS: '--max-semi-space-size=2' },
    },
    component('scheduler', 0, schedulerFlags(paths, settings)),
    ...proxySpecs(paths, settings, component),
  ];
}

/** The command lines of a node that has joined a cluster of other machines. Pure. */
export function joinedSpecs(
  paths: Paths,
  settings: ClusterSettings,
  { self, server }: { self: SelfCommand; server: string },
): ProcessSpec[] {
  const component = componentsOf(paths, settings, self);
  return [
    containerdSpec(paths),
    component('balancer', 1, {
      listen: `127.0.0.1:${settings.port}`,
      servers: new URL(server).host,
      kubeconfig: paths.kubeconfig('proxy'),
      'state-file': join(paths.config, 'servers.json'),
    }),
    component('kubelet', 0, {
      kubeconfig: paths.kubeconfig('kubelet'),
      'bootstrap-kubeconfig': bootstrapKubeconfig(paths),
      config: kubeletConfigFile(paths),
      'hostname-override': settings.nodeName,
      'node-ip': settings.nodeIp,
      'root-dir': paths.kubelet,
    }),
    ...proxySpecs(paths, settings, component),
  ];
}

/** The proxy is a process unless the cluster runs it as a DaemonSet, or another one in its place. */
function proxySpecs(
  paths: Paths,
  settings: ClusterSettings,
  component: ReturnType<typeof componentsOf>,
): ProcessSpec[] {
  if (settings.staticPods || settings.disabled.includes('kube-proxy')) return [];
  return [component('proxy', 0, proxyFlags(paths, settings))];
}

function componentsOf(paths: Paths, settings: ClusterSettings, self: SelfCommand) {
  return (name: string, stopStage: number, flags: Flags): ProcessSpec => ({
    name,
    ...commandOf(name, self, flagList({ ...flags, v: settings.verbosity })),
    env: { NODE_OPTIONS: heapOptions(name) },
    logFile: join(paths.logs, `${name}.log`),
    stopStage,
  });
}

/** They speak with others by network and write files of root: they are root without any of its powers. */
const CONFINED = new Set(['apiserver', 'controller-manager', 'scheduler']);

function commandOf(
  name: string,
  { program, args, confinement = [] }: SelfCommand,
  flags: readonly string[],
): Pick<ProcessSpec, 'program' | 'args'> {
  const [first = program, ...rest] = [
    ...(CONFINED.has(name) ? confinement : []),
    ...[program, ...args, name, ...flags],
  ];
  return { program: first, args: rest };
}

// MiB of each of the three spaces of young objects; the API server and the kubelet make many that die early.
const YOUNG_HEAPS = new Map([
  ['apiserver', 8],
  ['kubelet', 8],
]);

/**
 * Node's options for a component. V8 lets the heap of young objects grow to 3 x 16 MiB and seldom gives it back. Components
 * that mostly wait do as well with 3 x 1 MiB.
 * The whole heap may grow to a multiple of what is in use before V8 clears it, the smaller the lower its limit: 512 MiB,
 * several times what a proxy needs for 10,000 Services, keep it near what it needs.
 */
export function heapOptions(component: string): string {
  const young = `--max-semi-space-size=${YOUNG_HEAPS.get(component) ?? 1}`;
  return component === 'proxy' ? `${young} --max-old-space-size=512` : young;
}

/** Distinguishes a command line from every other, to tell whether a running process is still what is wanted. */
export function fingerprint(spec: ProcessSpec): string {
  const text = JSON.stringify([spec.program, spec.args, spec.env]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function containerdSpec(paths: Paths): ProcessSpec {
  return {
    name: 'containerd',
    program: 'containerd',
    args: ['--config', paths.containerd.config, '--log-level', 'warn'],
    env: {},
    logFile: join(paths.logs, 'containerd.log'),
    stopStage: 2,
  };
}

function etcdSpec(paths: Paths, settings: ClusterSettings): ProcessSpec {
  return {
    name: 'etcd',
    program: 'etcd',
    args: flagList(etcdFlags(paths, settings)),
    // Debian's version wants to be told that it may run elsewhere than on x86-64.
    env: arch() === 'arm64' ? { ETCD_UNSUPPORTED_ARCH: 'arm64' } : {},
    logFile: join(paths.logs, 'etcd.log'),
    stopStage: 2,
  };
}
