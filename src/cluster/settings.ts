/** What an operator may choose about a cluster; the rest follows from it. Defaults are kubeadm's where it has one. */
export interface ClusterSettings {
  readonly nodeName: string;
  readonly nodeIp: string;
  /** Of the API server. */
  readonly port: number;
  readonly podCidr: string;
  /** This node's part of `podCidr`: what the controller manager hands to the first node. Empty: it is still to be told. */
  readonly nodePodCidr: string;
  readonly serviceCidr: string;
  readonly nodePorts: string;
  readonly dnsIp: string;
  readonly domain: string;
  /** Names and addresses besides the usual ones that the API server's certificate is good for. */
  readonly extraNames: readonly string[];
  readonly verbosity: number;
  /** Nodes on this machine, the first included. */
  readonly nodes: number;
  /** What the API server records (audit.k8s.io Policy). Absent: nothing. */
  readonly auditPolicyFile?: string | undefined;
  /** What is left out: addons (deploy/addons) by name, and OPTIONAL_PARTS. */
  readonly disabled: readonly string[];
  /**
   * Where API servers keep their state: `lmdb`, inside of the one that there is; `stacked`, in a member of etcd beside
   * each; `external`, in an etcd cluster of the operator's.
   */
  readonly store: 'lmdb' | 'stacked' | 'external';
  /** Of a stacked member: those that were there when it came, `NAME=URL,…`. Empty: it was the first. */
  readonly etcdPeers: string;
  /** Set when the store is external. */
  readonly externalEtcd?: ExternalEtcd | undefined;
  /** The control plane runs as static Pods of the kubelet, not as processes. */
  readonly staticPods: boolean;
  /** How Pods of one node reach those of others: routes, a tunnel, or a CNI plugin of the operator's. */
  readonly network: 'host-gw' | 'vxlan' | 'none';
  /** `HOST:PORT` of a balancer before the API servers; empty: there is none. */
  readonly endpoint: string;
  /** Which of these the operator chose: they count at the next start too. */
  readonly chosen?: Partial<Omit<ClusterSettings, 'chosen'>> | undefined;
}

/** Upstream's `--etcd-…` flags of the API server. */
export interface ExternalEtcd {
  readonly servers: string;
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

/** Parts of components that some clusters have from elsewhere. */
export const OPTIONAL_PARTS = ['kube-proxy', 'network-policy', 'service-lb'] as const;

/** k8ts itself, for the components that run in Pods. Built by deploy/images. */
export const K8TS_IMAGE = 'localhost/k8ts/k8ts:1';

/** Debian's etcd, for control planes in static Pods. */
export const ETCD_IMAGE = 'localhost/k8ts/etcd:1';

export const DEFAULT_SETTINGS = {
  port: 6443,
  podCidr: '10.244.0.0/16',
  nodePodCidr: '10.244.0.0/24',
  serviceCidr: '10.96.0.0/16',
  nodePorts: '30000-32767',
  dnsIp: '10.96.0.10',
  domain: 'cluster.local',
  extraNames: [],
  verbosity: 2,
  nodes: 1,
  disabled: [],
  store: 'lmdb',
  etcdPeers: '',
  staticPods: false,
  network: 'host-gw',
  endpoint: '',
} as const satisfies Omit<ClusterSettings, 'nodeName' | 'nodeIp'>;

/** Whether a control plane was the first of its cluster: another is told its Pod range by those that were there. */
export function isFirst({ nodePodCidr }: ClusterSettings): boolean {
  return nodePodCidr !== '';
}

/** The issuer of service account tokens, and the audience that they are for by default. */
export function serviceAccountIssuer(settings: ClusterSettings): string {
  return `https://kubernetes.default.svc.${settings.domain}`;
}

/** The first address of the Service range: the API server as seen from Pods. */
export function firstServiceIp(serviceCidr: string): string {
  const [network = '', bits = '32'] = serviceCidr.split('/');
  const octets = network.split('.').map(Number);
  const value = octets.reduce((sum, octet) => sum * 256 + octet, 0);
  const size = 2 ** (32 - Number(bits));
  const first = Math.floor(value / size) * size + 1;
  return [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256).join('.');
}
