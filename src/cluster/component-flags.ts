import { join } from 'node:path';
import { encryptionFile } from './encryption.ts';
import type { Paths } from './paths.ts';
import { type ClusterSettings, serviceAccountIssuer } from './settings.ts';

export type Flags = Readonly<Record<string, string | number | boolean>>;

/** Ports that the components listen on, upstream's. */
export const PORTS = {
  kubelet: 10250,
  kubeletHealth: 10248,
  proxyHealth: 10256,
  proxyMetrics: 10249,
  controllerManager: 10257,
  scheduler: 10259,
  etcd: 2379,
  etcdPeer: 2380,
  etcdMetrics: 2381,
} as const;

/** Long enough for balancers to notice that a server is about to end. */
const SHUTDOWN_DELAY = '5s';

/** Upstream's flags only: the embedded store's are k8ts's own. */
export function apiserverFlags(paths: Paths, settings: ClusterSettings): Flags {
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
    ...auditFlags(paths, settings),
    ...storeFlags(paths, settings),
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

/** Each API server asks the member of etcd beside it: without that one it is not ready, and others answer. */
function storeFlags(paths: Paths, { store, externalEtcd }: ClusterSettings): Flags {
  if (store === 'lmdb') return {};
  const shared = { 'shutdown-delay-duration': SHUTDOWN_DELAY };
  if (store === 'stacked') {
    return {
      ...shared,
      'etcd-servers': `https://127.0.0.1:${PORTS.etcd}`,
      'etcd-cafile': join(paths.pki, 'etcd/ca.crt'),
      'etcd-certfile': join(paths.pki, 'apiserver-etcd-client.crt'),
      'etcd-keyfile': join(paths.pki, 'apiserver-etcd-client.key'),
    };
  }
  const { servers = '', caFile, certFile, keyFile } = externalEtcd ?? {};
  return {
    ...shared,
    'etcd-servers': servers,
    ...(caFile === undefined ? {} : { 'etcd-cafile': caFile }),
    ...(certFile === undefined ? {} : { 'etcd-certfile': certFile }),
    ...(keyFile === undefined ? {} : { 'etcd-keyfile': keyFile }),
  };
}

/** A member of etcd beside an API server. kubeadm's flags. */
export function etcdFlags(paths: Paths, settings: ClusterSettings): Flags {
  const { nodeName, nodeIp, etcdPeers } = settings;
  const pki = (file: string) => join(paths.pki, 'etcd', file);
  const client = (ip: string) => `https://${ip}:${PORTS.etcd}`;
  const own = `${nodeName}=${peerUrl(nodeIp)}`;
  return {
    name: nodeName,
    'data-dir': paths.etcd,
    'advertise-client-urls': client(nodeIp),
    'listen-client-urls': `${client('127.0.0.1')},${client(nodeIp)}`,
    'initial-advertise-peer-urls': peerUrl(nodeIp),
    'listen-peer-urls': peerUrl(nodeIp),
    'listen-metrics-urls': `http://127.0.0.1:${PORTS.etcdMetrics}`,
    'initial-cluster': etcdPeers === '' ? own : `${etcdPeers},${own}`,
    'initial-cluster-state': etcdPeers === '' ? 'new' : 'existing',
    'cert-file': pki('server.crt'),
    'key-file': pki('server.key'),
    'client-cert-auth': true,
    'trusted-ca-file': pki('ca.crt'),
    'peer-cert-file': pki('peer.crt'),
    'peer-key-file': pki('peer.key'),
    'peer-client-cert-auth': true,
    'peer-trusted-ca-file': pki('ca.crt'),
    'experimental-initial-corrupt-check': true,
    'snapshot-count': 10_000,
    // As from etcd 3.5 on. Else two members that miss the leader refuse each other a vote now and then: a second longer.
    'pre-vote': true,
  };
}

/** How other members of etcd reach the one of a machine. */
export function peerUrl(ip: string): string {
  return `https://${ip}:${PORTS.etcdPeer}`;
}

/** Upstream's flags only. */
export function controllerManagerFlags(paths: Paths, settings: ClusterSettings): Flags {
  return {
    kubeconfig: paths.kubeconfig('controller-manager'),
    'leader-elect': isElected(settings),
    'use-service-account-credentials': true,
    'root-ca-file': join(paths.pki, 'ca.crt'),
    'service-account-private-key-file': join(paths.pki, 'sa.key'),
    'cluster-signing-cert-file': join(paths.pki, 'ca.crt'),
    'cluster-signing-key-file': join(paths.pki, 'ca.key'),
    controllers: controllerList(settings),
    'cluster-cidr': settings.podCidr,
    'allocate-node-cidrs': true,
    'bind-address': '127.0.0.1',
    'secure-port': PORTS.controllerManager,
  };
}

/** Where one API server serves, one of each works: a restarted one need not wait for its own old lease. */
export function isElected({ store }: ClusterSettings): boolean {
  return store !== 'lmdb';
}

/** Besides those that are on by themselves: what new nodes need. */
function controllerList({ disabled }: ClusterSettings): string {
  const list = ['*', 'bootstrap-signer-controller', 'token-cleaner-controller'];
  if (disabled.includes('service-lb')) list.push('-service-lb-controller');
  return list.join(',');
}

/** Where volumes on nodes' disks lie. */
export function localVolumes(paths: Paths): string {
  return join(paths.state, 'volumes');
}

export function schedulerFlags(paths: Paths, settings: ClusterSettings): Flags {
  return {
    kubeconfig: paths.kubeconfig('scheduler'),
    'leader-elect': isElected(settings),
    'bind-address': '127.0.0.1',
    'secure-port': PORTS.scheduler,
    'client-ca-file': join(paths.pki, 'ca.crt'),
  };
}

export function proxyFlags(paths: Paths, settings: ClusterSettings): Flags {
  return {
    kubeconfig: paths.kubeconfig('proxy'),
    'cluster-cidr': settings.podCidr,
    'hostname-override': settings.nodeName,
    'network-policy': !settings.disabled.includes('network-policy'),
  };
}

export function kubeletFlags(paths: Paths, settings: ClusterSettings): Flags {
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

/** `--name=value`, as command lines have them. */
export function flagList(flags: Flags): string[] {
  return Object.entries(flags).map(([name, value]) =>
    name.length === 1 ? `-${name}=${value}` : `--${name}=${value}`,
  );
}
