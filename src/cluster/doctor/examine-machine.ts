import { existsSync, readdirSync, readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../host/exec.ts';
import { machineAddresses } from '../../host/machine.ts';
import { identifyProcess } from '../../host/processes.ts';
import { readCertificate } from '../../pki/certificate.ts';
import { kubeletConfigFile } from '../component-flags.ts';
import { readIfExists } from '../files.ts';
import type { Paths } from '../paths.ts';
import type { ClusterSettings } from '../settings.ts';
import { type ProcessStatus, statusFile } from '../supervisor.ts';
import { bad, type Finding, good } from './findings.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const SOON_DAYS = 30;
const MIN_FREE_MIB = 1024;
// A kubelet and its containers watch many files; systemd's default of 128 instances is soon used up.
const MIN_INOTIFY_INSTANCES = 256;

/** What can be seen of this machine without asking the API server. */
export async function examineMachine(
  paths: Paths,
  settings: ClusterSettings,
  now: number,
): Promise<Finding[]> {
  return [
    ...processFindings(paths),
    ...certificateFindings(paths, now),
    diskFinding(paths),
    inotifyFinding(),
    addressFinding(settings),
    resolverFinding(settings),
    await iptablesFinding(),
    cgroupFinding(readIfExists('/proc/mounts') ?? ''),
    driverFinding(
      readIfExists(kubeletConfigFile(paths)) ?? '{}',
      readIfExists(paths.containerd.config) ?? '',
    ),
  ];
}

function processFindings(paths: Paths): Finding[] {
  const text = readIfExists(statusFile(paths.run));
  if (text === undefined) return [bad('processes', 'the cluster does not run', 'k8ts up --detach')];
  return (JSON.parse(text) as ProcessStatus[]).map(({ name, pid, restarts, lastEnd, log }) => {
    const runs = pid !== undefined && identifyProcess(pid) !== undefined;
    if (!runs) return bad(name, `has ended: ${lastEnd ?? 'unknown'}`, `tail ${log}`);
    return restarts > 3
      ? bad(
          name,
          `has been started again ${restarts} times: ${lastEnd ?? 'unknown'}`,
          `tail ${log}`,
        )
      : good(name, `runs as process ${pid}`);
  });
}

/** One finding for all that are good, and one for each that is not. */
function certificateFindings({ pki }: Paths, now: number): Finding[] {
  const files = existsSync(pki) ? readdirSync(pki).filter((name) => name.endsWith('.crt')) : [];
  const days = files.map((name) => {
    const { notAfter } = readCertificate(readFileSync(join(pki, name), 'utf8'));
    return { name, days: Math.floor((notAfter.getTime() - now) / DAY_MS) };
  });
  const lapsing = days
    .filter((one) => one.days < SOON_DAYS)
    .map(({ name, days: left }) =>
      bad('certificates', `${name} is good for ${left} days`, 'k8ts certs renew all'),
    );
  if (lapsing.length > 0 || days.length === 0) return lapsing;
  return [
    good('certificates', `the first lapses in ${Math.min(...days.map((one) => one.days))} days`),
  ];
}

function diskFinding({ state }: Paths): Finding {
  const { bavail, bsize } = statfsSync(state);
  const mib = Math.floor((bavail * bsize) / 1024 ** 2);
  return mib >= MIN_FREE_MIB
    ? good('disk', `${mib} MiB are free`)
    : bad('disk', `only ${mib} MiB are free for ${state}`, `du -xh ${state} | sort -h | tail`);
}

function inotifyFinding(): Finding {
  const file = '/proc/sys/fs/inotify/max_user_instances';
  const limit = Number(readIfExists(file) ?? Number.POSITIVE_INFINITY);
  return limit >= MIN_INOTIFY_INSTANCES
    ? good('inotify', `${limit} instances are allowed`)
    : bad(
        'inotify',
        `only ${limit} instances are allowed`,
        `sysctl -w fs.inotify.max_user_instances=1024`,
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
