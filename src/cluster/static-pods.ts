import { join } from 'node:path';
import type { Pod } from '../api/types.ts';
import { parseYaml, stringifyYaml } from '../api/yaml.ts';
import { isObject } from '../util/json.ts';
import {
  apiserverFlags,
  controllerManagerFlags,
  etcdFlags,
  type Flags,
  flagList,
  localVolumes,
  PORTS,
} from './component-flags.ts';
import { heapOptions, localServer } from './components.ts';
import { readIfExists, SECRET_MODE, writeWhole } from './files.ts';
import { BUILT_IN } from './images.ts';
import type { Paths } from './paths.ts';
import { type ClusterSettings, ETCD_IMAGE, K8TS_IMAGE } from './settings.ts';

/** Above every Pod that users make; what the name system-node-critical stands for. */
const PRIORITY = 2_000_001_000;

/** A component of the control plane as a Pod that the kubelet runs from a file. */
interface Component {
  readonly name: string;
  readonly image: string;
  /** Upstream's name of the program, so that upstream's image starts from the same manifest. */
  readonly program: string;
  readonly flags: Flags;
  readonly env?: Readonly<Record<string, string>>;
  /** Directories of the host, at the same place in the container. */
  readonly directories: readonly { readonly path: string; readonly readOnly: boolean }[];
  readonly requests: Readonly<Record<string, string>>;
  readonly probe: {
    host: string;
    port: number;
    scheme: 'HTTP' | 'HTTPS';
    live: string;
    ready: string;
  };
}

/** Which start of a component a manifest is of: with another value it is another Pod to the kubelet. */
export const REPLACED_ANNOTATION = 'k8ts.io/replaced-at';

/** What a manifest that is written anew keeps of the one that is there. */
export interface KeptOfManifest {
  /** That an operator has put in the place of ours. */
  readonly image?: string | undefined;
  readonly replacedAt?: string | undefined;
}

/** Name and text of a manifest. */
export interface StaticPodManifest {
  readonly name: string;
  readonly text: (kept: KeptOfManifest) => Promise<string>;
}

/** kubeadm's manifests, on images that are built here; what others need comes first. Pure. */
export function staticPodManifests(paths: Paths, settings: ClusterSettings): StaticPodManifest[] {
  return components(paths, settings).map((component) => ({
    name: component.name,
    text: ({ image = component.image, replacedAt }) =>
      stringifyYaml(manifestOf({ ...component, image }, replacedAt)),
  }));
}

export function staticPodFile(paths: Paths, name: string): string {
  return join(paths.staticPods, `${name}.yaml`);
}

/** Hands the control plane to the kubelet. Done again it changes nothing. */
export async function writeStaticPods(paths: Paths, settings: ClusterSettings): Promise<void> {
  for (const { name, text } of staticPodManifests(paths, settings)) {
    const file = staticPodFile(paths, name);
    writeWhole(file, await text(await keptOf(readIfExists(file))), SECRET_MODE);
  }
}

/** What is to be kept of a manifest; nothing of one that cannot be read. */
export async function keptOf(text: string | undefined): Promise<KeptOfManifest> {
  const pod = text === undefined ? undefined : await parseYaml(text).catch(() => undefined);
  if (!isObject(pod)) return {};
  const { metadata, spec } = pod as Partial<Pod>;
  const image = spec?.containers?.[0]?.image;
  return {
    image: image?.startsWith(BUILT_IN) ? undefined : image,
    replacedAt: metadata?.annotations?.[REPLACED_ANNOTATION],
  };
}

function components(paths: Paths, settings: ClusterSettings): Component[] {
  const configuration = [{ path: paths.config, readOnly: true }];
  return [
    ...(settings.store === 'stacked' ? [etcd(paths, settings)] : []),
    {
      name: 'kube-apiserver',
      ...ours('apiserver'),
      flags: {
        ...apiserverFlags(paths, settings),
        'allow-privileged': true,
        'authorization-mode': 'Node,RBAC',
        'kubelet-preferred-address-types': 'InternalIP,ExternalIP,Hostname',
        'requestheader-extra-headers-prefix': 'X-Remote-Extra-',
        'requestheader-group-headers': 'X-Remote-Group',
        'requestheader-username-headers': 'X-Remote-User',
      },
      directories: configuration,
      requests: { cpu: '250m' },
      probe: { ...LIVEZ, host: settings.nodeIp, port: settings.port },
    },
    controllerManager(paths, settings),
    scheduler(paths),
  ];
}

const LIVEZ = { scheme: 'HTTPS', live: '/livez', ready: '/readyz' } as const;
const LOOPBACK = '127.0.0.1';

function ours(component: string): Pick<Component, 'image' | 'program' | 'env'> {
  const env = { NODE_OPTIONS: heapOptions(component) };
  return { image: K8TS_IMAGE, program: `kube-${component}`, env };
}

function etcd(paths: Paths, settings: ClusterSettings): Component {
  return {
    name: 'etcd',
    image: ETCD_IMAGE,
    program: 'etcd',
    flags: etcdFlags(paths, settings),
    directories: [
      { path: paths.etcd, readOnly: false },
      { path: join(paths.pki, 'etcd'), readOnly: true },
    ],
    requests: { cpu: '100m', memory: '100Mi' },
    probe: {
      ...{ host: LOOPBACK, port: PORTS.etcdMetrics, scheme: 'HTTP' },
      ...{ live: '/health?serializable=true', ready: '/health' },
    },
  };
}

function controllerManager(paths: Paths, settings: ClusterSettings): Component {
  const kubeconfig = paths.kubeconfig('controller-manager');
  return {
    name: 'kube-controller-manager',
    ...ours('controller-manager'),
    flags: {
      ...controllerManagerFlags(paths, settings),
      'authentication-kubeconfig': kubeconfig,
      'authorization-kubeconfig': kubeconfig,
      'bind-address': LOOPBACK,
      'client-ca-file': join(paths.pki, 'ca.crt'),
      'cluster-name': 'kubernetes',
      'requestheader-client-ca-file': join(paths.pki, 'front-proxy-ca.crt'),
      'service-cluster-ip-range': settings.serviceCidr,
      // Elsewhere than at the usual place only k8ts's own flag can say so.
      ...(paths.root === '/' ? {} : { 'local-path-dir': localVolumes(paths) }),
    },
    directories: [{ path: paths.config, readOnly: true }],
    requests: { cpu: '200m' },
    probe: { ...LIVEZ, host: LOOPBACK, port: PORTS.controllerManager },
  };
}

function scheduler(paths: Paths): Component {
  const kubeconfig = paths.kubeconfig('scheduler');
  return {
    name: 'kube-scheduler',
    ...ours('scheduler'),
    flags: {
      'authentication-kubeconfig': kubeconfig,
      'authorization-kubeconfig': kubeconfig,
      'bind-address': LOOPBACK,
      kubeconfig,
      'leader-elect': true,
    },
    directories: [{ path: paths.config, readOnly: true }],
    requests: { cpu: '100m' },
    probe: { ...LIVEZ, host: LOOPBACK, port: PORTS.scheduler },
  };
}

function manifestOf(component: Component, replacedAt: string | undefined): object {
  const { name, image, program, flags, env = {}, directories, requests, probe } = component;
  const { host, port, scheme, live, ready } = probe;
  const get = (path: string) => ({ httpGet: { host, path, port, scheme }, timeoutSeconds: 15 });
  const volumes = directories.map(({ path }, i) => ({
    name: `host-${i}`,
    hostPath: { path, type: 'DirectoryOrCreate' },
  }));
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'kube-system',
      labels: { component: name, tier: 'control-plane' },
      ...(replacedAt === undefined ? {} : { annotations: { [REPLACED_ANNOTATION]: replacedAt } }),
    },
    spec: {
      hostNetwork: true,
      priority: PRIORITY,
      priorityClassName: 'system-node-critical',
      securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name,
          image,
          imagePullPolicy: 'IfNotPresent',
          command: [program, ...flagList(flags).sort()],
          env: Object.entries(env).map(([key, value]) => ({ name: key, value })),
          resources: { requests },
          startupProbe: { ...get(live), failureThreshold: 120, periodSeconds: 2 },
          livenessProbe: { ...get(live), failureThreshold: 8, periodSeconds: 10 },
          readinessProbe: { ...get(ready), failureThreshold: 3, periodSeconds: 1 },
          volumeMounts: directories.map(({ path, readOnly }, i) => ({
            name: `host-${i}`,
            mountPath: path,
            readOnly,
          })),
        },
      ],
      volumes,
    },
  };
}

/** What the manifests of the cluster's own DaemonSets need to know (deploy/addons/kube-proxy.yaml). */
export function proxyValues(settings: ClusterSettings): Record<string, string> {
  const isOff = settings.disabled.includes('network-policy');
  return {
    POD_CIDR: settings.podCidr,
    API_SERVER: localServer(settings),
    PROXY_ARGS: isOff ? '[--network-policy=false]' : '[]',
  };
}
