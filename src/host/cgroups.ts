import { existsSync, statSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '../util/errors.ts';

/** What a control group may use; 0 or absent is no limit. Shares are v1's (1024 per core). */
export interface CgroupLimits {
  cpuShares?: number | undefined;
  /** Microseconds per 100 ms. */
  cpuQuota?: number | undefined;
  memoryLimit?: number | undefined;
  pids?: number | undefined;
}

/** The control groups of this machine, below one root group. Names are paths like `/kubepods/burstable/podX`. */
export interface Cgroups {
  readonly version: 1 | 2;
  /** What a runtime is told of the group that its containers are to be in. */
  parentOf(name: string): string;
  /** Makes the group in every hierarchy and sets its limits; safe to repeat. */
  ensure(name: string, limits: CgroupLimits): Promise<void>;
  /** Removes the group and the empty groups below it. */
  remove(name: string): Promise<void>;
  /** Direct children of a group. */
  children(name: string): Promise<string[]>;
  /** Memory in use and its working set, in bytes; CPU time in nanoseconds. Undefined when the group is gone. */
  usage(name: string): Promise<CgroupUsage | undefined>;
  /** One process in the group or in a group below it. */
  someProcess(name: string): Promise<number | undefined>;
}

export interface CgroupUsage {
  memoryUsage: number;
  memoryWorkingSet: number;
  memoryRss: number;
  cpuNanoseconds: number;
  pids: number;
  pageFaults: number;
  majorPageFaults: number;
}

const ROOT = '/sys/fs/cgroup';
// The v1 hierarchies in which pods have limits or are measured; the runtime adds the others by itself.
const V1_PODS = ['cpu', 'cpuacct', 'cpuset', 'memory', 'pids'];
// Those from which a pod's groups are taken away again.
const V1_CONTROLLERS = [...V1_PODS, 'blkio', 'devices', 'freezer', 'hugetlb'];
// Where runtimes make groups, too, though nothing is limited there; `unified` is version 2 beside version 1.
const OTHER_HIERARCHIES = ['systemd', 'net_cls', 'perf_event', 'rdma', 'misc', 'unified'];
const V2_CONTROLLERS = ['cpu', 'cpuset', 'memory', 'pids', 'io', 'hugetlb'];
const CPU_PERIOD_US = 100_000;

/** Finds out which version the machine runs and answers its groups. */
export function createCgroups(root = ROOT): Cgroups {
  return existsSync(join(root, 'cgroup.controllers')) ? cgroupsV2(root) : cgroupsV1(root);
}

function cgroupsV1(root: string): Cgroups {
  const mounted = V1_CONTROLLERS.filter((c) => existsSync(join(root, c)));
  const own = V1_PODS.filter((c) => mounted.includes(c));
  // Joint mounts (cpu,cpuacct) are one directory under two names: visit it once.
  const hierarchies = [...new Map(own.map((c) => [identity(join(root, c)), c])).values()];
  const at = (controller: string, name: string): string => join(root, controller, name);
  return {
    version: 1,
    parentOf: (name) => name,
    async ensure(name, limits) {
      const made: (string | undefined)[] = [];
      for (const controller of hierarchies) {
        made.push(await mkdir(at(controller, name), { recursive: true }));
        if (controller === 'cpuset') await inheritCpuset(at('cpuset', ''), name);
      }
      const isNew = made.every((path) => path !== undefined);
      for (const [controller, file, value] of v1Settings(limits, isNew)) {
        await put(at(controller, name), file, value);
      }
    },
    async remove(name) {
      for (const controller of mounted) await removeTree(at(controller, name));
      for (const hierarchy of OTHER_HIERARCHIES) await removeTree(at(hierarchy, name));
    },
    children: (name) => directories(at('memory', name)),
    async usage(name) {
      const [usage, stat, cpu, pids] = await Promise.all([
        text(at('memory', name), 'memory.usage_in_bytes'),
        text(at('memory', name), 'memory.stat'),
        text(at('cpuacct', name), 'cpuacct.usage'),
        text(at('pids', name), 'pids.current'),
      ]);
      if (usage === undefined || stat === undefined) return undefined;
      const inactive = statOf(stat, 'total_inactive_file');
      return {
        memoryUsage: Number(usage),
        memoryWorkingSet: Math.max(0, Number(usage) - inactive),
        memoryRss: statOf(stat, 'total_rss'),
        cpuNanoseconds: Number(cpu ?? 0),
        pids: Number(pids ?? 0),
        pageFaults: statOf(stat, 'total_pgfault'),
        majorPageFaults: statOf(stat, 'total_pgmajfault'),
      };
    },
    someProcess: (name) => someProcess(at('memory', name)),
  };
}

/** Controller, file and value. A new group has no limits: only an older one must be told so. */
function v1Settings(
  { cpuShares, cpuQuota, memoryLimit, pids }: CgroupLimits,
  isNew: boolean,
): [controller: string, file: string, value: string | number][] {
  const settings: ReturnType<typeof v1Settings> = [];
  if (cpuShares) settings.push(['cpu', 'cpu.shares', cpuShares]);
  if (cpuQuota || !isNew) {
    settings.push(['cpu', 'cpu.cfs_period_us', CPU_PERIOD_US]);
    settings.push(['cpu', 'cpu.cfs_quota_us', cpuQuota || -1]);
  }
  if (memoryLimit || !isNew) settings.push(['memory', 'memory.limit_in_bytes', memoryLimit || -1]);
  if (pids !== undefined) settings.push(['pids', 'pids.max', pids || 'max']);
  return settings;
}

/** Device and inode, so that two names of one directory are seen to be one. */
function identity(path: string): string {
  const { dev, ino } = statSync(path);
  return `${dev}:${ino}`;
}

const CPUSET_FILES = ['cpuset.cpus', 'cpuset.mems'];

/**
 * A new v1 cpuset is empty and takes no process until it is given the CPUs and memory nodes of the group above it. The
 * first one asks the kernel to do that for the next ones.
 */
async function inheritCpuset(top: string, name: string): Promise<void> {
  const own = await Promise.all(CPUSET_FILES.map((file) => text(join(top, name), file)));
  if (own.every((value) => value?.trim())) return;
  for (const file of CPUSET_FILES) await inherit(top, name, file);
  // The machine's own top group is not ours.
  if (dirname(name) !== '/') await put(join(top, dirname(name)), 'cgroup.clone_children', 1);
}

/** What the group has now. Most groups above are set already, so it asks from below. */
async function inherit(top: string, name: string, file: string): Promise<string> {
  const path = join(top, name);
  const own = (await text(path, file))?.trim() ?? '';
  if (own !== '' || name === '' || name === '/') return own;
  const value = await inherit(top, dirname(name), file);
  await put(path, file, value);
  return value;
}

function cgroupsV2(root: string): Cgroups {
  const at = (name: string): string => join(root, name);
  return {
    version: 2,
    parentOf: (name) => name,
    async ensure(name, limits) {
      await mkdir(at(name), { recursive: true });
      await delegate(root, name);
      const { cpuShares, cpuQuota, memoryLimit, pids } = limits;
      if (cpuShares) await put(at(name), 'cpu.weight', weightOf(cpuShares));
      await put(at(name), 'cpu.max', `${cpuQuota || 'max'} ${CPU_PERIOD_US}`);
      await put(at(name), 'memory.max', memoryLimit || 'max');
      if (pids !== undefined) await put(at(name), 'pids.max', pids || 'max');
    },
    remove: (name) => removeTree(at(name)),
    children: (name) => directories(at(name)),
    async usage(name) {
      const [usage, stat, cpu, pids] = await Promise.all([
        text(at(name), 'memory.current'),
        text(at(name), 'memory.stat'),
        text(at(name), 'cpu.stat'),
        text(at(name), 'pids.current'),
      ]);
      if (usage === undefined || stat === undefined) return undefined;
      return {
        memoryUsage: Number(usage),
        memoryWorkingSet: Math.max(0, Number(usage) - statOf(stat, 'inactive_file')),
        memoryRss: statOf(stat, 'anon'),
        cpuNanoseconds: statOf(cpu ?? '', 'usage_usec') * 1000,
        pids: Number(pids ?? 0),
        pageFaults: statOf(stat, 'pgfault'),
        majorPageFaults: statOf(stat, 'pgmajfault'),
      };
    },
    someProcess: (name) => someProcess(at(name)),
  };
}

/** cgroup v2 weight of v1 shares, as runc converts them: 2…262144 to 1…10000. */
export function weightOf(shares: number): number {
  return Math.floor(1 + ((shares - 2) * 9999) / 262_142);
}

/** A v2 group has only the controllers that every group above it passes on. */
async function delegate(root: string, name: string): Promise<void> {
  let path = root;
  for (const part of ['', ...name.split('/').filter((p) => p !== '')].slice(0, -1)) {
    path = join(path, part);
    const available = new Set(((await text(path, 'cgroup.controllers')) ?? '').trim().split(' '));
    const wanted = V2_CONTROLLERS.filter((c) => available.has(c)).map((c) => `+${c}`);
    if (wanted.length > 0) await put(path, 'cgroup.subtree_control', wanted.join(' '));
  }
}

function statOf(stat: string, key: string): number {
  return Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0);
}

async function put(directory: string, file: string, value: string | number): Promise<void> {
  try {
    await writeFile(join(directory, file), String(value));
  } catch (err) {
    // A kernel without the controller's file (no CFS bandwidth, no memory limits) still runs pods.
    if (errnoOf(err) !== 'ENOENT' && errnoOf(err) !== 'EACCES') throw err;
  }
}

async function text(directory: string, file: string): Promise<string | undefined> {
  try {
    return await readFile(join(directory, file), 'utf8');
  } catch (err) {
    if (errnoOf(err) === 'ENOENT' || errnoOf(err) === 'ENODEV') return undefined;
    throw err;
  }
}

async function directories(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.filter((e) => e.isDirectory()).map((e) => e.name);
  } catch (err) {
    if (errnoOf(err) === 'ENOENT') return [];
    throw err;
  }
}

async function someProcess(path: string): Promise<number | undefined> {
  const [first] = ((await text(path, 'cgroup.procs')) ?? '').split('\n');
  if (first) return Number(first);
  for (const child of await directories(path)) {
    const found = await someProcess(join(path, child));
    if (found !== undefined) return found;
  }
  return undefined;
}

// A process that has ended is in its group for a moment yet; a runtime that was told to give up ends its own first.
const BUSY_WAITS_MS = [10, 20, 40, 80, 160, 320, 640];

/** Groups are removed from the leaves up; the kernel refuses while a process is left inside. */
async function removeTree(path: string): Promise<void> {
  for (const wait of BUSY_WAITS_MS) {
    if (await isRemoved(path)) return;
    await sleep(wait);
  }
  await removeNow(path);
}

async function isRemoved(path: string): Promise<boolean> {
  try {
    await removeNow(path);
    return true;
  } catch (err) {
    if (errnoOf(err) !== 'EBUSY') throw err;
    return false;
  }
}

async function removeNow(path: string): Promise<void> {
  for (const child of await directories(path)) await removeNow(join(path, child));
  try {
    await rmdir(path);
  } catch (err) {
    if (errnoOf(err) !== 'ENOENT') throw err;
  }
}
