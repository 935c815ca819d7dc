import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { commandLineOf, listProcesses, signalProcess } from '../host/processes.ts';
import type { Clock } from '../util/clock.ts';
import type { Paths } from './paths.ts';

const CGROUPS = '/sys/fs/cgroup';
const LOOK_MS = 50;
const SHIM_GRACE_MS = 2000;

/**
 * Why Pods cannot be found from where these mounts (of /proc/self/mounts) are, if they cannot. Pure.
 */
export function obstacleToPods(mounts: string): string | undefined {
  if (/^\S+ \/sys\/fs\/cgroup\S* cgroup2? /m.test(mounts)) return undefined;
  return 'The control groups of this machine, by which Pods are found, are not to be seen at /sys/fs/cgroup. If this is run by ip netns exec, which hides them: nsenter --net=/run/netns/NAME does not';
}

/**
 * Ends every process of every Pod: TERM, then KILL after `graceMs`. Goes by cgroups, so it needs neither the
 * kubelet nor containerd to be in good health. The store is not touched: the next start runs the Pods again.
 */
export async function stopPods(paths: Paths, graceMs: number, clock: Clock): Promise<number> {
  const first = podProcesses(paths);
  for (const pid of first) signalProcess(pid, 'SIGTERM');
  const deadline = clock.now() + graceMs;
  for (;;) {
    const left = podProcesses(paths);
    if (left.length === 0) return first.length;
    if (clock.now() >= deadline) for (const pid of left) signalProcess(pid, 'SIGKILL');
    await clock.sleep(LOOK_MS);
  }
}

/** containerd's shims outlive it by design. Ours are those that were given our socket; call this after its end. */
export async function stopShims(paths: Paths, clock: Clock): Promise<void> {
  // A shim ends by itself once its containers are gone and noted.
  const deadline = clock.now() + SHIM_GRACE_MS;
  while (shims(paths).length > 0 && clock.now() < deadline) await clock.sleep(LOOK_MS);
  for (const pid of shims(paths)) signalProcess(pid, 'SIGKILL');
  for (const socket of shimSockets(paths)) rmSync(socket, { force: true });
}

/** The cgroup directories of our Pods, in every hierarchy of the machine; the deepest first. */
export function podCgroups(paths: Paths): string[] {
  const own = join(paths.cgroupRoot, paths.cgroupRoot === '/' ? 'kubepods' : '.');
  const tops = [join(CGROUPS, own), ...directories(CGROUPS).map((top) => join(top, own))];
  return tops.flatMap((top) => [...walk(top)].reverse());
}

function podProcesses(paths: Paths): number[] {
  const pids = podCgroups(paths).flatMap((group) => {
    const text = readOrEmpty(join(group, 'cgroup.procs'));
    return text.split('\n').filter(Boolean).map(Number);
  });
  return [...new Set(pids)];
}

function shims(paths: Paths): number[] {
  return listProcesses().filter((pid) => {
    const args = commandLineOf(pid);
    return args[0]?.includes('containerd-shim') && args.includes(paths.containerd.socket);
  });
}

/** containerd 1.x keeps these sockets outside of its own directories, and their addresses inside. */
function shimSockets(paths: Paths): string[] {
  const bundles = join(paths.containerd.state, 'io.containerd.runtime.v2.task', 'k8s.io');
  return directories(bundles)
    .map((bundle) =>
      readOrEmpty(join(bundle, 'address'))
        .trim()
        .replace(/^unix:\/\//, ''),
    )
    .filter(Boolean);
}

function* walk(directory: string): Generator<string> {
  if (!existsSync(directory)) return;
  yield directory;
  for (const child of directories(directory)) yield* walk(child);
}

function directories(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(path, name));
  } catch {
    return []; // It is not there, or went while we looked.
  }
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
