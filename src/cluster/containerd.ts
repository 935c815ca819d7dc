import { join } from 'node:path';
import type { Paths } from './paths.ts';

/** The image of every Pod's sandbox: built here, imported, never pulled. */
export const PAUSE_IMAGE = 'localhost/k8ts/pause:1';

/** Where Debian's containernetworking-plugins puts the CNI programs. */
export const CNI_BIN = '/usr/lib/cni';

export interface ContainerdOptions {
  readonly systemdCgroup: boolean;
  readonly cni: CniPlaces;
}

/** Where the configuration of the Pod network and its plugins lie. */
export interface CniPlaces {
  readonly configuration: string;
  readonly programs: string;
}

export function ownCni({ cni }: Paths): CniPlaces {
  return { configuration: cni.config, programs: CNI_BIN };
}

/** Where the DaemonSets of Cilium, Calico, Flannel and others put theirs. */
export function foreignCni({ root }: Paths): CniPlaces {
  return { configuration: join(root, 'etc/cni/net.d'), programs: join(root, 'opt/cni/bin') };
}

/**
 * Configuration of a containerd that shares nothing with another one on the machine: root, state, socket,
 * runc state and network namespaces are all its own. containerd 1.6 to 2.x read this version.
 */
export function containerdConfig(paths: Paths, options: ContainerdOptions): string {
  const { containerd } = paths;
  const { cni } = options;
  const q = JSON.stringify;
  return `version = 2
root = ${q(containerd.root)}
state = ${q(containerd.state)}
# Snapshotters that need a block device or another file system only slow the start down.
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.opt",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing",
]

[grpc]
  address = ${q(containerd.socket)}

[ttrpc]
  address = ${q(`${containerd.socket}.ttrpc`)}

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = ${q(PAUSE_IMAGE)}
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  # Without CAP_SYS_RESOURCE nobody may lower an OOM score; containerd then keeps its own instead of failing.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = ${q(cni.programs)}
  conf_dir = ${q(cni.configuration)}

[plugins."io.containerd.grpc.v1.cri".containerd]
  default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  Root = ${q(containerd.runc)}
  SystemdCgroup = ${options.systemdCgroup}

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = ${q(containerd.registries)}
`;
}
