import { join } from 'node:path';
import type { Pod } from '../../api/types.ts';
import { diskUsage, isOtherFilesystem } from '../../host/disk-usage.ts';
import { filesystemFacts } from '../../host/machine.ts';
import { namesIn } from '../directory.ts';
import type { PodDirs } from '../pod-dirs.ts';
import type { FsStats, VolumeStats } from './summary.ts';

/** What a pod takes up on disk besides its containers' own layers and volumes from outside. */
export interface PodDisk {
  readonly volumes: readonly VolumeStats[];
  /** Bytes of volumes that count as the pod's ephemeral storage: empty directories on disk. */
  readonly localVolumes: number;
  /** Files and directories of these volumes and of the logs. */
  readonly inodes: number;
  /** Bytes of each emptyDir volume by its name, those in memory included. */
  readonly emptyDirs: ReadonlyMap<string, number>;
  /** Bytes of each container's log files by the container's name. */
  readonly logs: ReadonlyMap<string, number>;
  readonly logBytes: number;
}

/** Measures a pod's directories. */
export async function podDisk(pod: Pod, dirs: PodDirs, time: string): Promise<PodDisk> {
  const volumes: VolumeStats[] = [];
  const emptyDirs = new Map<string, number>();
  let localVolumes = 0;
  let inodes = 0;
  for (const { path, name } of await volumeDirectories(dirs.pod(pod.metadata.uid))) {
    const spec = pod.spec?.volumes?.find((v) => v.name === name);
    if (!spec?.emptyDir) continue;
    const stats = await volumeStats(path, time);
    volumes.push({ ...stats, name });
    emptyDirs.set(name, stats.usedBytes ?? 0);
    if (spec.emptyDir.medium) continue;
    localVolumes += stats.usedBytes ?? 0;
    inodes += stats.inodesUsed ?? 0;
  }
  const logs = new Map<string, number>();
  for (const container of await namesIn(dirs.podLogs(pod))) {
    const used = await diskUsage(join(dirs.podLogs(pod), container));
    logs.set(container, used.bytes);
    inodes += used.inodes;
  }
  const logBytes = [...logs.values()].reduce((sum, bytes) => sum + bytes, 0);
  return { volumes, localVolumes, inodes, emptyDirs, logs, logBytes };
}

/** `volumes/PLUGIN/NAME` below the pod's directory. */
async function volumeDirectories(podDir: string): Promise<{ path: string; name: string }[]> {
  const top = join(podDir, 'volumes');
  const found: { path: string; name: string }[] = [];
  for (const plugin of await namesIn(top)) {
    for (const name of await namesIn(join(top, plugin))) {
      found.push({ path: join(top, plugin, name), name });
    }
  }
  return found;
}

/** What a directory takes up, in the file system in which it lies. */
export async function volumeStats(path: string, time: string): Promise<FsStats> {
  const filesystem = await filesystemStats(path, time);
  if (await isOtherFilesystem(path)) return filesystem;
  const { bytes, inodes } = await diskUsage(path);
  return { ...filesystem, usedBytes: bytes, inodesUsed: inodes };
}

/** The file system that holds `path`, as a whole. */
export async function filesystemStats(path: string, time: string): Promise<FsStats> {
  const { capacityBytes, availableBytes, usedBytes, inodes, inodesFree } =
    await filesystemFacts(path);
  const inodesUsed = inodes - inodesFree;
  return { time, availableBytes, capacityBytes, usedBytes, inodesFree, inodes, inodesUsed };
}
