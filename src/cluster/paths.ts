import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';

/** Where one machine keeps everything of k8ts. `root` is `/`, or the directory that stands in for it. */
export interface Paths {
  readonly root: string;
  /** Certificates, kubeconfigs and component configuration; kubeadm's layout. */
  readonly config: string;
  readonly pki: string;
  readonly state: string;
  readonly run: string;
  readonly logs: string;
  readonly podLogs: string;
  /** Links to the logs of containers, for log collectors. Other kubelets of the machine would use it too. */
  readonly containerLogs: string;
  readonly store: string;
  /** Of a member of etcd on this machine. */
  readonly etcd: string;
  /** Of the store. */
  readonly snapshots: string;
  readonly kubelet: string;
  readonly staticPods: string;
  readonly containerd: {
    readonly config: string;
    readonly registries: string;
    readonly root: string;
    readonly state: string;
    readonly runc: string;
    readonly socket: string;
  };
  readonly cni: { readonly config: string; readonly data: string };
  readonly kubeconfig: (user: KubeconfigUser) => string;
  /** Cgroup under which the kubelet makes `kubepods`. */
  readonly cgroupRoot: string;
}

/** Who has a kubeconfig in the configuration directory: `admin.conf` and so on, kubeadm's names. */
export type KubeconfigUser =
  | 'admin'
  | 'super-admin'
  | 'controller-manager'
  | 'scheduler'
  | 'kubelet'
  | 'proxy'
  | 'dns';

// Node, like every program, cannot bind a Unix socket whose path is longer (sun_path has 108 bytes with its end).
const MAX_SOCKET_PATH = 107;

/** All paths below `root`. */
export function pathsUnder(root: string): Paths {
  const top = resolve(root);
  const config = join(top, 'etc/k8ts');
  const state = join(top, 'var/lib/k8ts');
  const run = join(top, 'run/k8ts');
  return {
    root: top,
    config,
    pki: join(config, 'pki'),
    state,
    run,
    logs: join(top, 'var/log/k8ts'),
    podLogs: join(top, 'var/log/pods'),
    containerLogs: join(top, 'var/log/containers'),
    store: join(state, 'store'),
    etcd: join(state, 'etcd'),
    snapshots: join(state, 'snapshots'),
    kubelet: join(state, 'kubelet'),
    staticPods: join(config, 'manifests'),
    containerd: {
      config: join(config, 'containerd.toml'),
      registries: join(config, 'registries'),
      root: join(state, 'containerd'),
      state: join(run, 'containerd'),
      runc: join(run, 'runc'),
      socket: join(run, 'containerd.sock'),
    },
    cni: { config: join(config, 'cni'), data: join(state, 'cni') },
    kubeconfig: (user) => join(config, `${user}.conf`),
    cgroupRoot: top === '/' ? '/' : `/k8ts-${shortHash(top)}`,
  };
}

/** Why sockets cannot be made under `paths`, if they cannot. */
export function socketPathProblem(paths: Paths): string | undefined {
  const length = Buffer.byteLength(paths.containerd.socket);
  if (length <= MAX_SOCKET_PATH) return undefined;
  return `The path ${paths.root} is too long for Unix sockets below it (${length} bytes, at most ${MAX_SOCKET_PATH}); choose a shorter --root`;
}

/** Tells clusters of one machine apart where a name must be short. */
export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}
