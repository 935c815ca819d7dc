import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { encryptionFile } from './encryption.ts';
import type { Paths } from './paths.ts';
import { type ClusterSettings, serviceAccountIssuer } from './settings.ts';

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

/** Ports that the components listen on, upstream's. */
export const PORTS = {
  kubelet: 10250,
  kubeletHealth: 10248,
  proxyHealth: 10256,
  proxyMetrics: 10249,
  controllerManager: 10257,
  scheduler: 10259,
} as const;

/** What the API server's own components reach it at. */
export function localServer(settings: ClusterSettings): string {
  return `https://127.0.0.1:${settings.port}`;
}

/**
 * The command lines of one machine that is control plane and node in one. Flags are upstream's. Pure.
 * Nobody is elected where there is one of each: a restarted scheduler need not wait for its own old lease.
 */
export function processSpecs(
  paths: Paths,
  settings: ClusterSettings,
  self: SelfCommand,
): ProcessSpec[] {
  const component = componentsOf(paths, settings, self);
  return [
    containerdSpec(paths),
    component('apiserver', 1, apiserverFlags(paths, settings)),
    component('kubelet', 0, kubeletFlags(paths, settings)),
    {
      ...component('controller-manager', 0, controllerManagerFlags(paths, settings)),
      // It holds a copy of every object: what is new must not take as much room as what is kept.
      env: { NODE_OPTIONS: '--max-semi-space-size=2' },
    },
    component('scheduler', 0, {
      kubeconfig: paths.kubeconfig('scheduler'),
      'leader-elect': false,
      'bind-address': '127.0.0.1',
      'secure-port': PORTS.scheduler,
      'client-ca-file': join(paths.pki, 'ca.crt'),
    }),
    component('proxy', 0, proxyFlags(paths, settings)),
  ];
}

/** The command lines of a node that has joined a cluster of other machines. Pure. */
export function joinedSpecs(
  paths: Paths,
  settings: ClusterSettings,
  self: SelfCommand,
): ProcessSpec[] {
  const component = componentsOf(paths, settings, self);
  return [
    containerdSpec(paths),
    component('kubelet', 0, {
      kubeconfig: paths.kubeconfig('kubelet'),
      'bootstrap-kubeconfig': bootstrapKubeconfig(paths),
      config: kubeletConfigFile(paths),
      'hostname-override': settings.nodeName,
      'node-ip': settings.nodeIp,
      'root-dir': paths.kubelet,
    }),
    component('proxy', 0, proxyFlags(paths, settings)),
  ];
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

function proxyFlags(paths: Paths, settings: ClusterSettings): Flags {
  return {
    kubeconfig: paths.kubeconfig('proxy'),
    'cluster-cidr': settings.podCidr,
    'hostname-override': settings.nodeName,
    'network-policy': !settings.disabled.includes('network-policy'),
  };
}

/**
 * Node's options for a component. V8 lets the heap of young objects grow to 3 x 16 MiB and seldom gives it back. Components
 * that mostly wait do as well with 3 x 1 MiB; the API server, which makes many short-lived objects, gets more.
 * The whole heap may grow to a multiple of what is in use before V8 clears it, the smaller the lower its limit: 512 MiB,
 * several times what a proxy needs for 10,000 Services, keep it near what it needs.
 */
export function heapOptions(component: string): string {
  const young = `--max-semi-space-size=${component === 'apiserver' ? 2 : 1}`;
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

function apiserverFlags(paths: Paths, settings: ClusterSettings): Flags {
  const pki = (file: string) => join(paths.pki, file);
  return {
    'secure-port': settings.port,
    'bind-address': '0.0.0.0',
    'advertise-address': settings.nodeIp,
    'tls-cert-file': pki('apiserver.crt'),
    'tls-private-key-file': pki('apiserver.key'),
    'client-ca-file': pki('ca.crt'),
    'kubelet-client-certificate': pki('apiserver-kubelet-client.crt'),
    'kubelet-client-key': pki('apiserver-kubelet-client.key'),
    'kubelet-certificate-authority': pki('ca.crt'),
    'proxy-client-cert-file': pki('front-proxy-client.crt'),
    'proxy-client-key-file': pki('front-proxy-client.key'),
    'requestheader-client-ca-file': pki('front-proxy-ca.crt'),
    'requestheader-allowed-names': 'front-proxy-client',
    'service-account-key-file': pki('sa.pub'),
    'service-account-signing-key-file': pki('sa.key'),
    'service-account-issuer': serviceAccountIssuer(settings),
    'service-cluster-ip-range': settings.serviceCidr,
    'service-node-port-range': settings.nodePorts,
    'enable-admission-plugins': 'NodeRestriction',
    'enable-bootstrap-token-auth': true,
    'encryption-provider-config': encryptionFile(paths),
    'data-dir': paths.store,
    'snapshot-dir': paths.snapshots,
    ...auditFlags(paths, settings),
  };
}

/** The log is kept as long as the CIS benchmark asks for. */
function auditFlags(paths: Paths, { auditPolicyFile }: ClusterSettings): Flags {
  if (auditPolicyFile === undefined) return {};
  return {
    'audit-policy-file': auditPolicyCopy(paths),
    'audit-log-path': join(paths.logs, 'audit', 'audit.log'),
    'audit-log-maxage': 30,
    'audit-log-maxbackup': 10,
    'audit-log-maxsize': 100,
  };
}

/** The policy as it was when the cluster was started. */
export function auditPolicyCopy(paths: Paths): string {
  return join(paths.config, 'audit-policy.yaml');
}

function controllerManagerFlags(paths: Paths, settings: ClusterSettings): Flags {
  return {
    kubeconfig: paths.kubeconfig('controller-manager'),
    'leader-elect': false,
    'use-service-account-credentials': true,
    'root-ca-file': join(paths.pki, 'ca.crt'),
    'service-account-private-key-file': join(paths.pki, 'sa.key'),
    'cluster-signing-cert-file': join(paths.pki, 'ca.crt'),
    'cluster-signing-key-file': join(paths.pki, 'ca.key'),
    controllers: controllerList(settings),
    'cluster-cidr': settings.podCidr,
    'allocate-node-cidrs': true,
    'local-path-dir': join(paths.state, 'volumes'),
    'bind-address': '127.0.0.1',
    'secure-port': PORTS.controllerManager,
  };
}

/** Besides those that are on by themselves: what new nodes need. */
function controllerList({ disabled }: ClusterSettings): string {
  const forNodes = ['bootstrap-signer', 'token-cleaner', 'kubelet-serving-approving'];
  const list = ['*', ...forNodes.map((name) => `${name}-controller`)];
  if (disabled.includes('service-lb')) list.push('-service-lb-controller');
  return list.join(',');
}

function kubeletFlags(paths: Paths, settings: ClusterSettings): Flags {
  return {
    kubeconfig: paths.kubeconfig('kubelet'),
    config: kubeletConfigFile(paths),
    'hostname-override': settings.nodeName,
    'node-ip': settings.nodeIp,
    'root-dir': paths.kubelet,
    'tls-cert-file': join(paths.kubelet, 'pki/kubelet.crt'),
    'tls-private-key-file': join(paths.kubelet, 'pki/kubelet.key'),
  };
}

/** How a new node gets in the first time; kubeadm's name. */
export function bootstrapKubeconfig(paths: Paths): string {
  return join(paths.config, 'bootstrap-kubelet.conf');
}

export function kubeletConfigFile(paths: Paths): string {
  return join(paths.config, 'kubelet.json');
}

/** The kubelet's configuration file. https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/ */
export function kubeletConfig(
  paths: Paths,
  settings: ClusterSettings,
  { joined }: { joined: boolean },
): string {
  const config = {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: join(paths.pki, 'ca.crt') },
    },
    authorization: { mode: 'Webhook' },
    cgroupDriver: 'cgroupfs',
    cgroupRoot: paths.cgroupRoot,
    clusterDNS: [settings.dnsIp],
    clusterDomain: settings.domain,
    // Containers get no swap, but a machine may have some.
    failSwapOn: false,
    containerRuntimeEndpoint: `unix://${paths.containerd.socket}`,
    podLogsDir: paths.podLogs,
    staticPodPath: paths.staticPods,
    // Certificates that the cluster signs, and signs again; the first node's are files.
    rotateCertificates: joined,
    serverTLSBootstrap: joined,
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}

type Flags = Readonly<Record<string, string | number | boolean>>;

function flagList(flags: Flags): string[] {
  return Object.entries(flags).map(([name, value]) =>
    name.length === 1 ? `-${name}=${value}` : `--${name}=${value}`,
  );
}
