import type { FilterPlugin, PreFilterPlugin } from '../framework.ts';
import { FITS, SKIP, unresolvable } from '../status.ts';
import { clusterKey, podClaims, type StorageListers } from '../volume-claims.ts';

const REFUSED = unresolvable('node(s) had no available volume zone');
const TOPOLOGY_LABELS = [
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
];

/** Rejects nodes outside the zone or region that a volume's labels name. */
export function volumeZone({
  storage,
}: {
  storage: StorageListers;
}): PreFilterPlugin & FilterPlugin {
  const labelsOf = (pod: Parameters<PreFilterPlugin['preFilter']>[1]) =>
    podClaims(storage, pod).found.flatMap((claim) => {
      const volume = storage.volumes.get(clusterKey(claim.spec?.volumeName ?? ''));
      return Object.entries(volume?.metadata.labels ?? {}).filter(([key]) =>
        TOPOLOGY_LABELS.includes(key),
      );
    });
  return {
    name: 'VolumeZone',
    wakeOn: [
      {
        on: [
          ...(['PersistentVolumeClaim/Add', 'PersistentVolumeClaim/Update'] as const),
          ...(['PersistentVolume/Add', 'PersistentVolume/Update'] as const),
          ...(['StorageClass/Add', 'Node/Add', 'Node/UpdateLabel'] as const),
        ],
      },
    ],
    preFilter: (_state, pod) => (labelsOf(pod).length === 0 ? SKIP : FITS),
    filter(_state, pod, node) {
      // A node without any topology label belongs to a cluster of one zone.
      if (!TOPOLOGY_LABELS.some((key) => node.labels[key] !== undefined)) return FITS;
      // Several zones are joined by two underscores.
      const fits = labelsOf(pod).every(([key, value]) =>
        value.split('__').includes(node.labels[key] ?? ''),
      );
      return fits ? FITS : REFUSED;
    },
  };
}
