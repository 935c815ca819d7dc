import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs';
import { createServer } from 'node:net';
import { arch, platform } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { errnoOf } from '../util/errors.ts';
import { CNI_BIN } from './containerd.ts';
import { type Paths, socketPathProblem } from './paths.ts';

/** What can be seen of a machine before anything is changed on it. */
export interface MachineFacts {
  readonly platform: string;
  readonly arch: string;
  readonly uid: number;
  /** Lines of /proc/mounts that are cgroups. */
  readonly cgroupMounts: readonly string[];
  /** What must be installed and is not. */
  readonly missingPrograms: readonly string[];
  readonly freeBytes: number;
  /** Ports that others listen on. */
  readonly takenPorts: readonly number[];
  readonly hasDefaultRoute: boolean;
}

const MIN_FREE_BYTES = 1024 ** 3;
const PROGRAMS = [
  'containerd',
  'containerd-shim-runc-v2',
  'runc',
  'iptables',
  'conntrack',
  'ip',
  'nsenter',
  'setpriv',
];
const CNI_PROGRAMS = ['bridge', 'host-local', 'loopback', 'portmap'];
const V1_CONTROLLERS = ['cpu', 'memory', 'pids', 'devices', 'freezer'];

/** Why a cluster cannot run here: one sentence each, in the order in which they should be solved. Pure. */
export function problemsOf(facts: MachineFacts, paths: Paths): string[] {
  const problems = [
    systemProblem(facts),
    facts.uid === 0 ? undefined : 'k8ts up must run as root; try it with sudo',
    cgroupProblem(facts.cgroupMounts),
    socketPathProblem(paths),
    diskProblem(facts.freeBytes, paths),
    facts.hasDefaultRoute
      ? undefined
      : 'This machine has no default route, without which Service addresses cannot be reached; add one, or pass --node-ip and a route for the Service range',
    ...facts.missingPrograms.map((program) =>
      program === 'etcd'
        ? 'etcd is not installed; deploy/install.sh --etcd installs it'
        : `${program} is not installed; deploy/up.sh installs what k8ts needs`,
    ),
    ...facts.takenPorts.map(
      (port) =>
        `Port ${port} is taken by another program; stop that, or see which it is with: ss -ltnp 'sport = ${port}'`,
    ),
  ];
  return problems.filter((problem) => problem !== undefined);
}

function systemProblem(facts: MachineFacts): string | undefined {
  if (facts.platform !== 'linux') {
    return `k8ts runs on Linux only, and this is ${facts.platform}; the Vagrantfile starts a machine that fits`;
  }
  if (facts.arch === 'x64' || facts.arch === 'arm64') return undefined;
  return `k8ts runs on x86_64 and aarch64, and this machine is ${facts.arch}`;
}

function cgroupProblem(mounts: readonly string[]): string | undefined {
  const types = mounts.map((line) => line.split(' ')[2]);
  const options = new Set(mounts.flatMap((line) => line.split(' ')[3]?.split(',') ?? []));
  if (V1_CONTROLLERS.every((controller) => options.has(controller))) return undefined;
  if (types.includes('cgroup2') && !types.includes('cgroup')) return undefined;
  return mounts.length === 0
    ? 'No cgroups are mounted, and containers need them; mount them at /sys/fs/cgroup (systemd does this, a container needs --privileged --cgroupns=host)'
    : `The cgroup controllers ${V1_CONTROLLERS.filter((c) => !options.has(c)).join(', ')} are missing; mount them below /sys/fs/cgroup`;
}

function diskProblem(freeBytes: number, paths: Paths): string | undefined {
  if (freeBytes >= MIN_FREE_BYTES) return undefined;
  const mib = Math.floor(freeBytes / 1024 ** 2);
  return `Only ${mib} MiB are free for ${paths.state}, and k8ts needs 1024 MiB; free some space`;
}

/** Looks at this machine. `ports`: those that the components will listen on; `programs`: needed besides the usual ones. */
export async function machineFacts(
  paths: Paths,
  wanted: { ports: readonly number[]; programs: readonly string[]; hasDefaultRoute: boolean },
): Promise<MachineFacts> {
  const { ports, programs, hasDefaultRoute } = wanted;
  const taken = await Promise.all(ports.map(async (port) => ((await isTaken(port)) ? port : 0)));
  return {
    platform: platform(),
    arch: arch(),
    uid: process.getuid?.() ?? -1,
    cgroupMounts: readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .filter((line) => /^cgroup2? /.test(line) || / cgroup2? /.test(line)),
    missingPrograms: [
      ...[...PROGRAMS, ...programs].filter((name) => !isOnPath(name)),
      ...CNI_PROGRAMS.map((name) => join(CNI_BIN, name)).filter((file) => !isExecutable(file)),
    ],
    freeBytes: freeBytesFor(paths.state),
    takenPorts: taken.filter((port) => port !== 0),
    hasDefaultRoute,
  };
}

function isOnPath(program: string): boolean {
  const path = `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin`;
  return path.split(delimiter).some((folder) => isExecutable(join(folder, program)));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function freeBytesFor(directory: string): number {
  if (!existsSync(directory)) return freeBytesFor(dirname(directory));
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

/** Only "address in use" counts: whatever else goes wrong, the component will say it better. */
function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (err) => resolve(errnoOf(err) === 'EADDRINUSE'));
    server.listen({ port, host: '0.0.0.0', exclusive: true }, () =>
      server.close(() => resolve(false)),
    );
  });
}
