import { readdir, readFile, statfs } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';

/** What a machine is; read once. */
export interface MachineFacts {
  readonly cpus: number;
  /** Bytes. */
  readonly memory: number;
  /** Bytes of swap; 0 when there is none. */
  readonly swap: number;
  readonly machineId: string;
  readonly systemUuid: string;
  readonly bootId: string;
  readonly kernelVersion: string;
  readonly osImage: string;
  /** Go's names: `amd64`, `linux`. */
  readonly architecture: string;
  readonly operatingSystem: string;
  /** Page size in bytes → number of pages of each size that the kernel holds ready. */
  readonly hugepages: ReadonlyMap<number, number>;
  /** The kernel enforces AppArmor profiles. */
  readonly apparmor: boolean;
}

const ARCHITECTURES: Record<string, string> = { x64: 'amd64', arm64: 'arm64', ia32: '386' };

/** Facts by systeminformation, and from the kernel's files where that has none. */
export async function machineFacts(): Promise<MachineFacts> {
  // Loaded only here: it is large and asked once.
  const { default: si } = await import('systeminformation');
  const [cpu, memory, os, uuid] = await Promise.all([si.cpu(), si.mem(), si.osInfo(), si.uuid()]);
  const architecture = ARCHITECTURES[process.arch] ?? process.arch;
  const machineId = await firstLine('/etc/machine-id');
  return {
    cpus: cpu.cores || 1,
    memory: memory.total,
    swap: memory.swaptotal,
    machineId: machineId || uuid.os,
    systemUuid: (await firstLine('/sys/class/dmi/id/product_uuid')) || uuid.hardware || machineId,
    bootId: await firstLine('/proc/sys/kernel/random/boot_id'),
    kernelVersion: os.kernel,
    osImage: (await prettyName()) || [os.distro, os.release].filter((t) => t !== '').join(' '),
    architecture,
    operatingSystem: 'linux',
    hugepages: await hugepages(),
    apparmor: (await firstLine('/sys/module/apparmor/parameters/enabled')) === 'Y',
  };
}

async function firstLine(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).split('\n')[0]?.trim() ?? '';
  } catch {
    return '';
  }
}

async function prettyName(): Promise<string> {
  try {
    const text = await readFile('/etc/os-release', 'utf8');
    return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(text)?.[1] ?? '';
  } catch {
    return '';
  }
}

const HUGEPAGES = '/sys/kernel/mm/hugepages';

async function hugepages(): Promise<Map<number, number>> {
  const found = new Map<number, number>();
  const names = await readdir(HUGEPAGES).catch(() => []);
  for (const name of names) {
    const kilobytes = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1]);
    const pages = Number(await firstLine(`${HUGEPAGES}/${name}/nr_hugepages`));
    if (kilobytes > 0) found.set(kilobytes * 1024, pages || 0);
  }
  return found;
}

export interface FilesystemFacts {
  readonly capacityBytes: number;
  readonly availableBytes: number;
  readonly usedBytes: number;
  readonly inodes: number;
  readonly inodesFree: number;
}

/** The file system that holds `path`. */
export async function filesystemFacts(path: string): Promise<FilesystemFacts> {
  const s = await statfs(path);
  return {
    capacityBytes: s.blocks * s.bsize,
    availableBytes: s.bavail * s.bsize,
    usedBytes: (s.blocks - s.bfree) * s.bsize,
    inodes: s.files,
    inodesFree: s.ffree,
  };
}

/** Bytes that could be given out without swapping. */
export async function availableMemory(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8');
  return Number(/^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}

/** What the whole machine has used; bytes and, since boot, nanoseconds. */
export interface MachineUsage {
  readonly cpuNanoseconds: number;
  readonly memoryUsage: number;
  readonly memoryWorkingSet: number;
  readonly memoryRss: number;
  readonly pageFaults: number;
  readonly majorPageFaults: number;
  readonly swapUsage: number;
  readonly swapTotal: number;
}

// The kernel counts CPU time for programs in hundredths of a second, whatever its own tick is.
const TICK_NS = 1e7;

export async function machineUsage(): Promise<MachineUsage> {
  const [cpu, memory, events] = await Promise.all([
    readFile('/proc/stat', 'utf8'),
    readFile('/proc/meminfo', 'utf8'),
    readFile('/proc/vmstat', 'utf8'),
  ]);
  return parseMachineUsage(cpu, memory, events);
}

/** From /proc/stat, /proc/meminfo and /proc/vmstat. */
export function parseMachineUsage(cpu: string, memory: string, events: string): MachineUsage {
  const ticks = (cpu.split('\n')[0] ?? '').trim().split(/\s+/).slice(1).map(Number);
  // user nice system idle iowait irq softirq steal: everything but idle and iowait was work.
  const busy = [0, 1, 2, 5, 6, 7].reduce((sum, index) => sum + (ticks[index] ?? 0), 0);
  const kilobytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(memory)?.[1] ?? 0) * 1024;
  const event = (name: string): number =>
    Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(events)?.[1] ?? 0);
  const used = kilobytes('MemTotal') - kilobytes('MemFree');
  return {
    cpuNanoseconds: busy * TICK_NS,
    memoryUsage: used,
    memoryWorkingSet: Math.max(0, used - kilobytes('Inactive\\(file\\)')),
    memoryRss: kilobytes('AnonPages'),
    pageFaults: event('pgfault'),
    majorPageFaults: event('pgmajfault'),
    swapUsage: kilobytes('SwapTotal') - kilobytes('SwapFree'),
    swapTotal: kilobytes('SwapTotal'),
  };
}

/** What this process has used; bytes, nanoseconds since it began, and when that was. */
export function ownUsage(): { cpuNanoseconds: number; memory: number; uptimeMs: number } {
  const { user, system } = process.cpuUsage();
  const memory = process.memoryUsage.rss();
  return { cpuNanoseconds: (user + system) * 1000, memory, uptimeMs: process.uptime() * 1000 };
}

/** When the machine was started, milliseconds since the epoch. */
export async function bootTime(): Promise<number> {
  const text = await readFile('/proc/stat', 'utf8');
  return Number(/^btime (\d+)$/m.exec(text)?.[1] ?? 0) * 1000;
}

/** Addresses of this machine's interfaces, without loopback and link-local ones. */
export function machineAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(
      (a) => !a.internal && !a.address.startsWith('fe80:') && !a.address.startsWith('169.254.'),
    )
    .map((a) => a.address);
}

/** Processes that exist and the most that may. */
export async function processCounts(): Promise<{ running: number; maximum: number }> {
  const [load, pidMax, threadsMax] = await Promise.all([
    firstLine('/proc/loadavg'),
    firstLine('/proc/sys/kernel/pid_max'),
    firstLine('/proc/sys/kernel/threads-max'),
  ]);
  const running = Number(load.split(' ')[3]?.split('/')[1] ?? 0);
  return { running, maximum: Math.min(Number(pidMax) || Infinity, Number(threadsMax) || Infinity) };
}
