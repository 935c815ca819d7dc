import { k8tsFiles, nodeFiles } from '../../deploy/images/k8ts-files.ts';
import { imageArchive } from '../../deploy/images/oci.ts';

const LABELS = { 'k8s-app': 'kube-dns', 'app.kubernetes.io/name': 'coredns' };
const METADATA = { name: 'coredns', namespace: 'kube-system' };
const ROLE = {
  name: 'system:coredns',
  labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' },
};
export const COREDNS_IMAGE = 'docker.io/coredns/coredns:1.9.4';

const COREFILE = `.:53 {
    errors
    health {
      lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
      fallthrough in-addr.arpa ip6.arpa
    }
    prometheus :9153
    forward . /etc/resolv.conf {
      max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
`;

const probe = (path: string, port: number) => ({ httpGet: { path, port, scheme: 'HTTP' } });
const port = (containerPort: number, name: string, protocol: string) => ({
  containerPort,
  name,
  protocol,
});

const CONTAINER = {
  name: 'coredns',
  image: 'coredns/coredns:1.9.4',
  imagePullPolicy: 'IfNotPresent',
  resources: { limits: { memory: '170Mi' }, requests: { cpu: '100m', memory: '70Mi' } },
  args: ['-conf', '/etc/coredns/Corefile'],
  volumeMounts: [{ name: 'config-volume', mountPath: '/etc/coredns', readOnly: true }],
  ports: [port(53, 'dns', 'UDP'), port(53, 'dns-tcp', 'TCP'), port(9153, 'metrics', 'TCP')],
  securityContext: {
    allowPrivilegeEscalation: false,
    capabilities: { add: ['NET_BIND_SERVICE'], drop: ['all'] },
    readOnlyRootFilesystem: true,
  },
  livenessProbe: {
    ...probe('/health', 8080),
    ...{ initialDelaySeconds: 60, timeoutSeconds: 5, successThreshold: 1, failureThreshold: 5 },
  },
  readinessProbe: probe('/ready', 8181),
};

const POD = {
  priorityClassName: 'system-cluster-critical',
  serviceAccountName: 'coredns',
  tolerations: [{ key: 'CriticalAddonsOnly', operator: 'Exists' }],
  nodeSelector: { 'kubernetes.io/os': 'linux' },
  affinity: {
    podAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        {
          labelSelector: {
            matchExpressions: [{ key: 'k8s-app', operator: 'In', values: ['kube-dns'] }],
          },
          topologyKey: 'kubernetes.io/hostname',
        },
      ],
    },
  },
  containers: [CONTAINER],
  dnsPolicy: 'Default',
  securityContext: { sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '53' }] },
  volumes: [
    {
      name: 'config-volume',
      configMap: { name: 'coredns', items: [{ key: 'Corefile', path: 'Corefile' }] },
    },
  ],
};

const read = (apiGroup: string, ...resources: string[]) => ({
  apiGroups: [apiGroup],
  resources,
  verbs: ['list', 'watch'],
});

/** What CoreDNS's own manifest holds, object by object and field by field (github.com/coredns/deployment, kubernetes/). */
export const COREDNS_OBJECTS: readonly Record<string, unknown>[] = [
  { apiVersion: 'v1', kind: 'ServiceAccount', metadata: METADATA },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: ROLE,
    rules: [
      read('', 'endpoints', 'services', 'pods', 'namespaces'),
      read('discovery.k8s.io', 'endpointslices'),
    ],
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: {
      ...ROLE,
      annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
    },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: ROLE.name },
    subjects: [{ kind: 'ServiceAccount', ...METADATA }],
  },
  { apiVersion: 'v1', kind: 'ConfigMap', metadata: METADATA, data: { Corefile: COREFILE } },
  {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { ...METADATA, labels: { ...LABELS, 'kubernetes.io/name': 'CoreDNS' } },
    spec: {
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1 } },
      selector: { matchLabels: LABELS },
      template: { metadata: { labels: LABELS }, spec: POD },
    },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'kube-dns',
      namespace: 'kube-system',
      annotations: { 'prometheus.io/port': '9153', 'prometheus.io/scrape': 'true' },
      labels: {
        ...LABELS,
        'kubernetes.io/cluster-service': 'true',
        'kubernetes.io/name': 'CoreDNS',
      },
    },
    spec: {
      selector: LABELS,
      clusterIP: '10.96.0.10',
      ports: [
        { name: 'dns', port: 53, protocol: 'UDP' },
        { name: 'dns-tcp', port: 53, protocol: 'TCP' },
        { name: 'metrics', port: 9153, protocol: 'TCP' },
      ],
    },
  },
];

// Takes CoreDNS's command line and reads its configuration, as the program would; answers with this project's server.
const STAND_IN = `#!/usr/bin/node --disable-warning=ExperimentalWarning
const { readFileSync } = require('node:fs');
const [, , flag, file] = process.argv;
if (flag !== '-conf' || !readFileSync(file, 'utf8').includes('kubernetes cluster.local')) process.exit(64);
process.argv = [process.argv[0], '/k8ts/dist/lib/cli.js', 'dns'];
import('/k8ts/dist/lib/cli.js');
`;

/** An image under CoreDNS's name, as no registry can be reached from everywhere: its program is played by `k8ts dns`. */
export function coreDnsStandIn(): Uint8Array[] {
  const program = { path: 'coredns', mode: 0o755, content: Buffer.from(STAND_IN) };
  const config = { Entrypoint: ['/coredns'], Env: ['PATH=/usr/bin'] };
  return imageArchive(COREDNS_IMAGE, [nodeFiles(), k8tsFiles(), [program]], config);
}
