import type { Pod } from '../../api/types.ts';
import type { CsiVolumes } from '../csi/csi-volumes.ts';
import { filesystemStats, volumeStats } from '../stats/pod-disk.ts';
import type { FsStats, VolumeStats } from '../stats/summary.ts';
import type { VolumeManager } from './volume-manager.ts';

/**
 * How full a pod's volumes besides its empty directories are: those from outside by their driver's word, else by their file
 * system's, and those of files that follow what they show.
 */
export async function outsideVolumeStats(
  pod: Pod,
  { volumes, csi }: { volumes: VolumeManager; csi: CsiVolumes },
  time: string,
): Promise<VolumeStats[]> {
  const found = await Promise.all(
    volumes.mountedFromOutside(pod.metadata.uid).map(async ({ name, hostPath }) => {
      // A driver that does not answer costs its volume's figures, no others.
      const stats = await statsOf(hostPath, csi, time).catch(() => undefined);
      const claim = claimName(pod, name);
      const pvcRef = claim ? { name: claim, namespace: pod.metadata.namespace } : undefined;
      return stats && { ...stats, name, ...(pvcRef ? { pvcRef } : {}) };
    }),
  );
  const shown = volumes
    .projected(pod.metadata.uid)
    .map(async ({ name, hostPath }) => ({ ...(await volumeStats(hostPath, time)), name }));
  return [...found.filter((stats) => stats !== undefined), ...(await Promise.all(shown))];
}

async function statsOf(hostPath: string, csi: CsiVolumes, time: string): Promise<FsStats> {
  const usage = await csi.stats(hostPath);
  if (!usage) return filesystemStats(hostPath, time);
  const bytes = usage.find(({ unit }) => unit === 'BYTES');
  const inodes = usage.find(({ unit }) => unit === 'INODES');
  return {
    time,
    availableBytes: bytes?.available ?? 0,
    capacityBytes: bytes?.total ?? 0,
    usedBytes: bytes?.used ?? 0,
    inodesFree: inodes?.available ?? 0,
    inodes: inodes?.total ?? 0,
    inodesUsed: inodes?.used ?? 0,
  };
}

/** The claim that a volume of the pod names, or that was made for it. */
export function claimName(pod: Pod, volume: string): string | undefined {
  const spec = pod.spec?.volumes?.find(({ name }) => name === volume);
  if (spec?.ephemeral) return `${pod.metadata.name}-${volume}`;
  return spec?.persistentVolumeClaim?.claimName;
}
