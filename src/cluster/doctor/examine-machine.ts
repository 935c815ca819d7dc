import { existsSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { run } from '../../host/exec.ts';
import { machineAddresses } from '../../host/machine.ts';
import { readCertificate } from '../../pki/certificate.ts';
import { expirations } from '../certificate-care.ts';
import { BRIDGE, CNI_FILE } from '../cni.ts';
import { kubeletConfigFile } from '../component-flags.ts';
import { readIfExists } from '../files.ts';
import type { Paths } from '../paths.ts';
import type { ClusterSettings } from '../settings.ts';
import { examineHealth } from './examine-health.ts';
import { bad, type Finding, good } from './findings.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const SOON_DAYS = 30;
const MIN_FREE_MIB = 1024;
// A kubelet and its containers watch many files; the kernel's default of 128 instances is soon used up.
const MIN_INOTIFY = { instances: 256, watches: 8192 };

/** What can be seen of this machine without asking the API server. */
export async function examineMachine(
  paths: Paths,
  settings: ClusterSettings,
  about: { now: number; joined: boolean },
): Promise<Finding[]> {
  return [
    ...(await examineHealth(paths, settings, about)),
    ...(await certificateFindings(paths, settings, about)),
    ...diskFindings(paths),
    ...inotifyFindings(),
    addressFinding(settings),
    ...(await podRangeFindings(paths, settings)),
    resolverFinding(settings),
    await iptablesFinding(),
    cgroupFinding(readIfExists('/proc/mounts') ?? ''),
    driverFinding(
      readIfExists(kubeletConfigFile(paths)) ?? '{}',
      readIfExists(paths.containerd.config) ?? '',
    ),
  ];
}

/** One finding for all that are good, and one for each that is not. */
async function certificateFindings(
  paths: Paths,
  settings: ClusterSettings,
  { now, joined }: { now: number; joined: boolean },
): Promise<Finding[]> {
  const ends = joined ? joinedEnds(paths) : await ownEnds(paths, settings);
  return expiryFindings(ends, now);
}

/** When a certificate lapses, by its name. */
type Ends = ReadonlyMap<string, Date>;

async function ownEnds(paths: Paths, settings: ClusterSettings): Promise<Ends> {
  const all = await expirations(paths, settings);
  return new Map(all.flatMap(({ name, notAfter }) => (notAfter ? [[name, notAfter]] : [])));
}

/** Of a node that has joined: the authority, and what the cluster has signed for its kubelet. */
function joinedEnds(paths: Paths): Ends {
  const folder = join(paths.kubelet, 'pki');
  const files = [
    join(paths.pki, 'ca.crt'),
    join(folder, 'kubelet-client-current.pem'),
    join(folder, 'kubelet-server-current.pem'),
  ];
  return new Map(
    files.filter(existsSync).map((file) => {
      return [basename(file), readCertificate(readFileSync(file, 'utf8')).notAfter];
    }),
  );
}

/** Pure. */
export function expiryFindings(ends: Ends, now: number): Finding[] {
  const days = [...ends].map(([name, end]) => ({
    name,
    left: Math.floor((end.getTime() - now) / DAY_MS),
  }));
  const lapsing = days
    .filter(({ left }) => left < SOON_DAYS)
    .map(({ name, left }) => {
      const what = left < 0 ? `${name} has lapsed` : `${name} is good for ${left} days`;
      return bad('certificates', what, 'k8ts certs renew all');
    });
  if (lapsing.length > 0 || days.length === 0) return lapsing;
  const first = Math.min(...days.map(({ left }) => left));
  return [good('certificates', `the first lapses in ${first} days`)];
}

/** Of each file system that holds state of the cluster: the store may have one of its own. */
function diskFindings({ state, store, etcd, logs }: Paths): Finding[] {
  const seen = new Set<number>();
  return [state, store, etcd, logs].filter(existsSync).flatMap((directory) => {
    const { dev } = statSync(directory);
    if (seen.has(dev)) return [];
    seen.add(dev);
    const { bavail, blocks, bsize, ffree, files } = statfsSync(directory);
    const mib = (count: number) => Math.floor((count * bsize) / 1024 ** 2);
    const hasInodes = files === 0 || ffree > 0;
    return [diskFinding({ directory, freeMib: mib(bavail), sizeMib: mib(blocks), hasInodes })];
  });
}

/** Pure. */
export function diskFinding(disk: {
  directory: string;
  freeMib: number;
  sizeMib: number;
  hasInodes: boolean;
}): Finding {
  const { directory, freeMib, sizeMib, hasInodes } = disk;
  if (!hasInodes) {
    return bad('disk', `no inodes are left for ${directory}`, `du --inodes -xh ${directory}`);
  }
  return freeMib >= Math.min(MIN_FREE_MIB, sizeMib / 10)
    ? good('disk', `${freeMib} MiB are free for ${directory}`)
    : bad(
        'disk',
        `only ${freeMib} MiB are free for ${directory}`,
        `du -xh ${directory} | sort -h | tail`,
      );
}

function inotifyFindings(): Finding[] {
  return Object.entries(MIN_INOTIFY).map(([what, least]) => {
    const file = `/proc/sys/fs/inotify/max_user_${what}`;
    return inotifyFinding(what, Number(readIfExists(file) ?? Number.POSITIVE_INFINITY), least);
  });
}

/** Pure. */
export function inotifyFinding(what: string, limit: number, least: number): Finding {
  return limit >= least
    ? good('inotify', `${limit} ${what} are allowed`)
    : bad(
        'inotify',
        `only ${limit} ${what} are allowed: kubelets and containers watch more`,
        `sysctl -w fs.inotify.max_user_${what}=${least * 4}`,
      );
}

/** Pure. */
export function addressFinding(
  { nodeIp }: Pick<ClusterSettings, 'nodeIp'>,
  addresses: readonly string[] = machineAddresses(),
): Finding {
  return addresses.includes(nodeIp)
    ? good('address', `${nodeIp} is this machine's`)
    : bad(
        'address',
        `the node is known as ${nodeIp}, which no interface of this machine has (${addresses.join(', ')})`,
        'k8ts down; k8ts up --node-ip ADDRESS',
      );
}

/** Where packets to this node's own Pods go: to its bridge, or astray. */
async function podRangeFindings(paths: Paths, { network }: ClusterSettings): Promise<Finding[]> {
  if (network === 'none') return [];
  const conflist = readIfExists(join(paths.cni.config, CNI_FILE)) ?? '';
  const [, range] = /"subnet": "([^"]+)"/.exec(conflist) ?? [];
  if (range === undefined) {
    const what = 'this node has no Pod range yet: the controller manager gives it';
    return [bad('Pod network', what, 'kubectl get nodes -o wide; the log of controller-manager')];
  }
  const { stdout } = await run('ip', ['-4', 'route', 'show', range]);
  return [podRangeFinding(range, stdout)];
}

/** Pure. */
export function podRangeFinding(range: string, routes: string): Finding {
  const devices = [...routes.matchAll(/ dev (\S+)/g)].map(([, device]) => device ?? '');
  const other = devices.find((device) => device !== BRIDGE);
  if (other === undefined) return good('Pod network', `${range} on ${BRIDGE}`);
  const what = `packets to ${range} go to ${other} too, which is not the bridge of this node's Pods`;
  return bad('Pod network', what, `ip -4 route show ${range}; ip link delete ${other}`);
}

/** A resolver that asks cluster DNS, which asks the resolver, and so on. Pure but for its default. */
export function resolverFinding(
  { dnsIp }: Pick<ClusterSettings, 'dnsIp'>,
  text = readIfExists('/etc/resolv.conf') ?? '',
): Finding {
  const servers = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, server]) => server ?? '');
  if (servers.includes(dnsIp)) {
    return bad(
      'resolver',
      `/etc/resolv.conf names cluster DNS (${dnsIp}), which asks that file's servers: a loop`,
      'name another server in /etc/resolv.conf, or pass --resolv-conf to the kubelet',
    );
  }
  return servers.length > 0
    ? good('resolver', servers.join(', '))
    : bad('resolver', '/etc/resolv.conf names no server', 'Pods resolve only names of the cluster');
}

/** Rules in both of iptables' worlds see each other's packets in an order that nobody expects. */
async function iptablesFinding(): Promise<Finding> {
  const used: string[] = [];
  for (const variant of ['legacy', 'nft']) {
    const { exitCode, stdout } = await run('sh', ['-c', `iptables-${variant}-save 2>/dev/null`], {
      acceptExitCodes: [0, 1, 127],
    });
    if (exitCode === 0 && /^-A KUBE-/m.test(stdout)) used.push(variant);
  }
  return used.length < 2
    ? good('iptables', used[0] === undefined ? 'no rules of the proxy' : `${used[0]} is in use`)
    : bad(
        'iptables',
        'the proxy has rules in both variants, legacy and nft',
        'iptables-legacy-save | grep KUBE-',
      );
}

/** Which of the kernel's two kinds of cgroups are in use. Pure. */
export function cgroupFinding(mounts: string): Finding {
  const types = mounts.split('\n').map((line) => line.split(' ')[2]);
  if (types.includes('cgroup')) return good('cgroups', 'version 1');
  return types.includes('cgroup2')
    ? good('cgroups', 'version 2')
    : bad('cgroups', 'none are mounted, and containers need them', 'mount them at /sys/fs/cgroup');
}

/** A kubelet and a runtime that name cgroups in different ways lose sight of their containers. Pure. */
export function driverFinding(kubeletConfig: string, containerdConfig: string): Finding {
  const { cgroupDriver: kubelet = 'cgroupfs' } = JSON.parse(kubeletConfig) as {
    cgroupDriver?: string;
  };
  const isSystemd = /^\s*SystemdCgroup = true$/m.test(containerdConfig);
  const runtime = isSystemd ? 'systemd' : 'cgroupfs';
  return kubelet === runtime
    ? good('cgroup driver', `${kubelet}, of kubelet and containerd`)
    : bad(
        'cgroup driver',
        `the kubelet uses ${kubelet}, containerd ${runtime}`,
        'k8ts up writes both files anew: k8ts down --keep-pods; k8ts up --detach',
      );
}
