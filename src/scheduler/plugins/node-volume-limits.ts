import type { FilterPlugin, PreFilterPlugin } from '../framework.ts';
import { claimsOf, type NodeInfo } from '../node-info.ts';
import type { PodInfo } from '../pod-info.ts';
import { FITS, SKIP, unschedulable } from '../status.ts';
import { clusterKey, type StorageListers } from '../volume-claims.ts';

const REFUSED = unschedulable('node(s) exceed max volume count');

/** Rejects nodes that have as many volumes of a CSI driver attached as the driver can (CSINode). */
export function nodeVolumeLimits({
  storage,
}: {
  storage: StorageListers;
}): PreFilterPlugin & FilterPlugin {
  return {
    name: 'NodeVolumeLimits',
    wakeOn: [
      {
        on: [
          ...(['CSINode/Add', 'CSINode/Update', 'AssignedPod/Delete'] as const),
          ...(['PersistentVolumeClaim/Add', 'PersistentVolumeClaim/Delete'] as const),
        ],
      },
    ],
    preFilter: (_state, pod) => (claimsOf(pod).length === 0 ? SKIP : FITS),
    filter(_state, pod, node) {
      const drivers = storage.csiNodes.get(clusterKey(node.name))?.spec?.drivers ?? [];
      const limits = drivers.filter((driver) => driver.allocatable?.count !== undefined);
      if (limits.length === 0) return FITS;
      const wanted = volumesOf(storage, pod);
      const attached = attachedTo(storage, node);
      for (const { name, allocatable } of limits) {
        const fresh = [...wanted].filter(([id, driver]) => driver === name && !attached.has(id));
        const used = [...attached.values()].filter((driver) => driver === name).length;
        if (fresh.length > 0 && used + fresh.length > (allocatable?.count ?? 0)) return REFUSED;
      }
      return FITS;
    },
  };
}

/** Volume (or claim without one) → its CSI driver. One volume counts once, however many Pods share it. */
function volumesOf(storage: StorageListers, pod: PodInfo): Map<string, string> {
  return driversOf(storage, claimsOf(pod));
}

function attachedTo(storage: StorageListers, node: NodeInfo): Map<string, string> {
  return driversOf(storage, [...node.claims.keys()]);
}

function driversOf(storage: StorageListers, claimKeys: readonly string[]): Map<string, string> {
  const out = new Map<string, string>();
  for (const key of claimKeys) {
    const [namespace = '', name = ''] = key.split('/');
    const claim = storage.claims.get({ namespace, name });
    const volume = storage.volumes.get(clusterKey(claim?.spec?.volumeName ?? ''));
    const csi = volume?.spec?.csi;
    const className = claim?.spec?.storageClassName ?? '';
    const driver = csi?.driver ?? storage.storageClasses.get(clusterKey(className))?.provisioner;
    if (driver) out.set(csi ? `${driver}/${csi.volumeHandle}` : key, driver);
  }
  return out;
}
