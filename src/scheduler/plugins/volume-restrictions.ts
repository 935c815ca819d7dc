import { disksConflict, namesDisks } from '../disk-conflicts.ts';
import type { FilterPlugin, PreFilterPlugin } from '../framework.ts';
import { claimsOf } from '../node-info.ts';
import type { PodInfo } from '../pod-info.ts';
import type { Snapshot } from '../snapshot.ts';
import { FITS, SKIP, unresolvable, unschedulable } from '../status.ts';
import { podClaims, type StorageListers } from '../volume-claims.ts';

const IN_USE = unschedulable(
  'node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode',
);

const NO_DISK = unschedulable('node(s) had no available disk');

/** Keeps a ReadWriteOncePod claim to one Pod in the whole cluster (KEP-2485), and disks that cannot be shared to one Pod per node. */
export function volumeRestrictions(deps: {
  storage: StorageListers;
  snapshot: () => Snapshot;
}): PreFilterPlugin & FilterPlugin {
  const exclusive = (pod: PodInfo): string[] =>
    podClaims(deps.storage, pod)
      .found.filter((claim) => claim.spec?.accessModes?.includes('ReadWriteOncePod'))
      .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  return {
    name: 'VolumeRestrictions',
    wakeOn: [
      {
        on: ['AssignedPod/Delete', 'PersistentVolumeClaim/Add', 'PersistentVolumeClaim/Update'],
      },
      { on: ['Node/Add'] },
    ],
    preFilter(_state, pod) {
      if (claimsOf(pod).length === 0) return namesDisks(pod.pod) ? FITS : SKIP;
      const { missing } = podClaims(deps.storage, pod);
      const [name] = missing;
      if (name !== undefined) return unresolvable(`persistentvolumeclaim "${name}" not found`);
      return exclusive(pod).length === 0 && !namesDisks(pod.pod) ? SKIP : FITS;
    },
    filter(_state, pod, node) {
      if (namesDisks(pod.pod)) {
        for (const other of node.pods.values())
          if (disksConflict(pod.pod, other.pod)) return NO_DISK;
      }
      const claims = exclusive(pod);
      if (claims.length === 0) return FITS;
      const elsewhere = deps
        .snapshot()
        .nodes.some((other) => other.name !== node.name && claims.some((c) => other.claims.has(c)));
      return elsewhere || claims.some((claim) => node.claims.has(claim)) ? IN_USE : FITS;
    },
  };
}
