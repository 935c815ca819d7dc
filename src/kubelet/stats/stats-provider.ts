import type { Pod } from '../../api/types.ts';
import type { Cgroups, CgroupUsage } from '../../host/cgroups.ts';
import {
  bootTime,
  type MachineFacts,
  machineUsage,
  ownUsage,
  processCounts,
} from '../../host/machine.ts';
import { type DeviceCounters, deviceCounters } from '../../host/network-usage.ts';
import type { Clock } from '../../util/clock.ts';
import { CONTAINER_NAME_LABEL, isHostNetwork, POD_UID_LABEL } from '../names.ts';
import type { Pleg } from '../pleg.ts';
import type { PodDirs } from '../pod-dirs.ts';
import type { PodGroups } from '../pod-groups.ts';
import type { PodWorkers } from '../pod-workers.ts';
import type { ContainerStats } from '../runtime/container-stats.ts';
import type { ContainerRuntime } from '../runtime/runtime.ts';
import type { RuntimeContainer, RuntimePod } from '../runtime-pod.ts';
import { CpuRates } from './cpu-rates.ts';
import { filesystemStats, type PodDisk, podDisk } from './pod-disk.ts';
import type {
  ContainerStatsOf,
  CpuStats,
  FsStats,
  MemoryStats,
  NetworkStats,
  NodeStats,
  PodStats,
  Summary,
  VolumeStats,
} from './summary.ts';

export interface StatsDeps {
  runtime: ContainerRuntime;
  cgroups: Cgroups;
  groups: PodGroups;
  workers: PodWorkers;
  pleg: Pleg;
  dirs: PodDirs;
  rootDir: string;
  nodeName: string;
  machine: MachineFacts;
  clock: Clock;
  /** What pods may still take together; undefined where nothing bounds them. */
  podsMemory(): Promise<{ available: number } | undefined>;
  /** How full the pod's claims and other volumes from outside are. */
  outsideVolumes(pod: Pod, time: string): Promise<VolumeStats[]>;
}

/** With milliseconds: whoever computes rates from two answers needs them. */
const timeString = (ms: number): string => new Date(ms).toISOString();

// For a first answer that has nothing to be compared with.
const FIRST_READING_MS = 250;

/** Measures the node, its pods and their containers, when somebody asks. */
export class StatsProvider {
  readonly #deps: StatsDeps;
  readonly #rates = new CpuRates();

  constructor(deps: StatsDeps) {
    this.#deps = deps;
  }

  /** Everything; with `light` only CPU and memory, which costs no walk through directories. */
  async summary({ light }: { light: boolean }, signal: AbortSignal): Promise<Summary> {
    const first = await this.#read(light, signal);
    if (first.node.cpu.usageNanoCores !== undefined) return first;
    await this.#deps.clock.sleep(FIRST_READING_MS, signal);
    return this.#read(light, signal);
  }

  /** The same without rates: for those who compute their own. */
  readings(signal: AbortSignal): Promise<Summary> {
    return this.#read(true, signal);
  }

  /** The claims of all pods. */
  async claims(): Promise<VolumeStats[]> {
    const { workers, clock, outsideVolumes } = this.#deps;
    const time = timeString(clock.now());
    const all = await Promise.all(workers.active().map(({ pod }) => outsideVolumes(pod, time)));
    return all.flat().filter(({ pvcRef }) => pvcRef !== undefined);
  }

  async #read(light: boolean, signal: AbortSignal): Promise<Summary> {
    const { runtime, pleg, workers } = this.#deps;
    const stats = byPod(await runtime.listContainerStats(undefined, signal));
    const keys = new Set(['node', 'pods', 'kubelet']);
    const pods: PodStats[] = [];
    for (const running of pleg.list()) {
      const pod = workers.get(running.uid)?.pod;
      const own = stats.get(running.uid) ?? [];
      if (!pod || !running.sandboxes.some((s) => s.ready)) continue;
      keys.add(running.uid);
      for (const one of own) keys.add(one.attributes.id);
      pods.push(await this.#pod(pod, running, { stats: own, light }));
    }
    const node = await this.#node(light, signal);
    this.#rates.keep(keys);
    return { node, pods };
  }

  async #node(light: boolean, signal: AbortSignal): Promise<NodeStats> {
    const { clock, nodeName, machine, rootDir } = this.#deps;
    const [usage, booted] = await Promise.all([machineUsage(), bootTime()]);
    const now = clock.now();
    const time = timeString(now);
    const cpuUsage = usage.cpuNanoseconds;
    const basic = {
      nodeName,
      startTime: timeString(booted),
      cpu: this.#cpu('node', now * 1e6, cpuUsage),
      memory: {
        time,
        availableBytes: machine.memory - usage.memoryWorkingSet,
        usageBytes: usage.memoryUsage,
        workingSetBytes: usage.memoryWorkingSet,
        rssBytes: usage.memoryRss,
        pageFaults: usage.pageFaults,
        majorPageFaults: usage.majorPageFaults,
      },
      swap: {
        time,
        swapAvailableBytes: usage.swapTotal - usage.swapUsage,
        swapUsageBytes: usage.swapUsage,
      },
    };
    const parts = { ...basic, systemContainers: await this.#systemContainers(booted) };
    if (light) return parts;
    const [devices, fs, imageFs, processes] = await Promise.all([
      deviceCounters('self'),
      filesystemStats(rootDir, time),
      this.#imageFs(time, signal),
      processCounts(),
    ]);
    return {
      ...parts,
      ...networkOf(devices, time),
      fs,
      ...(imageFs ? { runtime: { imageFs, containerFs: imageFs } } : {}),
      rlimit: { time, maxpid: processes.maximum, curproc: processes.running },
    };
  }

  /** All pods together, and the kubelet itself. */
  async #systemContainers(booted: number): Promise<ContainerStatsOf[]> {
    const { cgroups, groups, clock, podsMemory } = this.#deps;
    const [usage, bound] = await Promise.all([cgroups.usage(groups.top), podsMemory()]);
    const now = clock.now();
    const [time, at] = [timeString(now), now * 1e6];
    const { cpuNanoseconds, memory, uptimeMs } = ownUsage();
    const kubelet = {
      name: 'kubelet',
      startTime: timeString(now - uptimeMs),
      cpu: this.#cpu('kubelet', at, cpuNanoseconds),
      memory: { time, usageBytes: memory, workingSetBytes: memory, rssBytes: memory },
    };
    if (!usage) return [kubelet];
    const { cpu, memory: used } = this.#podUsage('pods', now, usage);
    const left = bound ? { availableBytes: bound.available } : {};
    const pods = { name: 'pods', startTime: timeString(booted), cpu, memory: { ...used, ...left } };
    return [kubelet, pods];
  }

  /** The file system of images and containers; undefined when the engine does not say where it is. */
  async #imageFs(time: string, signal: AbortSignal): Promise<FsStats | undefined> {
    const [usage] = await this.#deps.runtime.imageFsInfo(signal);
    const mountpoint = usage?.fsId?.mountpoint;
    if (!mountpoint) return undefined;
    const whole = await filesystemStats(mountpoint, time);
    const usedBytes = usage.usedBytes?.value;
    return usedBytes === undefined ? whole : { ...whole, usedBytes };
  }

  async #pod(
    pod: Pod,
    running: RuntimePod,
    { stats, light }: { stats: readonly ContainerStats[]; light: boolean },
  ): Promise<PodStats> {
    const { cgroups, groups, clock, dirs } = this.#deps;
    const group = groups.parentFor(pod);
    const usage = await cgroups.usage(group);
    const now = clock.now();
    const time = timeString(now);
    const disk = light ? undefined : await podDisk(pod, dirs, time);
    const outside = light ? [] : await this.#deps.outsideVolumes(pod, time);
    const rootfs = light ? undefined : await filesystemStats(dirs.allPodLogs, time);
    const containers = stats
      .map((one) => this.#container(one, running, disk && rootfs && { disk, rootfs }))
      .filter((one) => one !== undefined);
    const { name, namespace, uid } = pod.metadata;
    const basic = {
      podRef: { name, namespace, uid },
      startTime: pod.status?.startTime ?? timeString(running.sandboxes[0]?.createdAt ?? now),
      containers,
      ...(usage ? this.#podUsage(uid, now, usage) : {}),
    };
    if (!disk || !rootfs) return basic;
    return {
      ...basic,
      ...networkOf(await this.#podDevices(pod, group), time),
      volume: [...disk.volumes, ...outside],
      'ephemeral-storage': {
        ...rootfs,
        usedBytes:
          disk.localVolumes +
          disk.logBytes +
          sumOf(stats, (s) => s.writableLayer?.usedBytes?.value),
        inodesUsed: disk.inodes + sumOf(stats, (s) => s.writableLayer?.inodesUsed?.value),
      },
      ...(usage ? { process_stats: { process_count: usage.pids } } : {}),
    };
  }

  #podUsage(uid: string, now: number, usage: CgroupUsage): { cpu: CpuStats; memory: MemoryStats } {
    return {
      cpu: this.#cpu(uid, now * 1e6, usage.cpuNanoseconds),
      memory: {
        time: timeString(now),
        usageBytes: usage.memoryUsage,
        workingSetBytes: usage.memoryWorkingSet,
        rssBytes: usage.memoryRss,
        pageFaults: usage.pageFaults,
        majorPageFaults: usage.majorPageFaults,
      },
    };
  }

  /** Any process of the pod sees its network. */
  async #podDevices(pod: Pod, group: string): Promise<DeviceCounters[]> {
    if (isHostNetwork(pod)) return [];
    const pid = await this.#deps.cgroups.someProcess(group);
    return pid === undefined ? [] : deviceCounters(pid);
  }

  #container(
    stats: ContainerStats,
    running: RuntimePod,
    given: { disk: PodDisk; rootfs: FsStats } | undefined,
  ): ContainerStatsOf | undefined {
    const { id, labels } = stats.attributes;
    const container = running.containers.find((c) => c.id === id);
    if (container?.state !== 'running') return undefined;
    const name = labels[CONTAINER_NAME_LABEL] ?? '';
    return {
      name,
      startTime: timeString(container.startedAt),
      ...this.#containerUsage(container, stats),
      ...(given ? containerDisk(name, stats, given) : {}),
    };
  }

  #containerUsage(
    { id }: RuntimeContainer,
    { cpu, memory }: ContainerStats,
  ): { cpu?: CpuStats; memory?: MemoryStats } {
    const used = cpu?.usageCoreNanoSeconds?.value;
    const told = cpu?.usageNanoCores?.value;
    return {
      ...(cpu && used !== undefined ? { cpu: this.#cpu(id, cpu.timestamp, used, told) } : {}),
      ...(memory?.workingSetBytes ? { memory: memoryOf(memory) } : {}),
    };
  }

  #cpu(key: string, at: number, used: number, told?: number): CpuStats {
    const rate = told ?? this.#rates.rate(key, at, used);
    return {
      time: timeString(at / 1e6),
      ...(rate === undefined ? {} : { usageNanoCores: rate }),
      usageCoreNanoSeconds: used,
    };
  }
}

function memoryOf(memory: NonNullable<ContainerStats['memory']>): MemoryStats {
  const optional = {
    availableBytes: memory.availableBytes?.value,
    usageBytes: memory.usageBytes?.value,
    rssBytes: memory.rssBytes?.value,
    pageFaults: memory.pageFaults?.value,
    majorPageFaults: memory.majorPageFaults?.value,
  };
  const known = Object.entries(optional).filter(([, value]) => value !== undefined);
  return {
    time: timeString(memory.timestamp / 1e6),
    workingSetBytes: memory.workingSetBytes?.value ?? 0,
    ...Object.fromEntries(known),
  };
}

function containerDisk(
  name: string,
  { writableLayer }: ContainerStats,
  { disk, rootfs }: { disk: PodDisk; rootfs: FsStats },
): { rootfs: FsStats; logs: FsStats } {
  const usedBytes = writableLayer?.usedBytes?.value ?? 0;
  const inodesUsed = writableLayer?.inodesUsed?.value ?? 0;
  return {
    rootfs: { ...rootfs, usedBytes, inodesUsed },
    logs: { ...rootfs, usedBytes: disk.logs.get(name) ?? 0 },
  };
}

function networkOf(devices: readonly DeviceCounters[], time: string): { network?: NetworkStats } {
  const interfaces = devices.map(({ name, rxBytes, rxErrors, txBytes, txErrors }) => ({
    name,
    rxBytes,
    rxErrors,
    txBytes,
    txErrors,
  }));
  const main = interfaces.find((i) => i.name === 'eth0') ?? interfaces[0];
  return main ? { network: { time, ...main, interfaces } } : {};
}

function byPod(stats: readonly ContainerStats[]): Map<string, ContainerStats[]> {
  const pods = new Map<string, ContainerStats[]>();
  for (const one of stats) {
    const uid = one.attributes.labels[POD_UID_LABEL] ?? '';
    pods.set(uid, [...(pods.get(uid) ?? []), one]);
  }
  return pods;
}

function sumOf<T>(items: readonly T[], value: (item: T) => number | undefined): number {
  return items.reduce((sum, item) => sum + (value(item) ?? 0), 0);
}
