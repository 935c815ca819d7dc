import { createHash } from 'node:crypto';
import { isPodTerminal } from '../../api/pods.ts';
import type {
  CSIDriver,
  Draft,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  VolumeAttachment,
} from '../../api/types.ts';
import type { Lister } from '../../client/client.ts';
import { claimNamesOf } from '../pod-volumes.ts';

export interface StorageListers {
  readonly claims: Lister<PersistentVolumeClaim>;
  readonly volumes: Lister<PersistentVolume>;
  readonly drivers: Lister<CSIDriver>;
}

/** The CSI volumes of a Pod that must be attached to its node before they can be mounted. */
export function attachableVolumes(
  { claims, volumes, drivers }: StorageListers,
  pod: Pod,
): PersistentVolume[] {
  const { namespace } = pod.metadata;
  return claimNamesOf(pod).flatMap((name) => {
    const bound = claims.get({ namespace, name })?.spec?.volumeName ?? '';
    const volume = volumes.get({ namespace: '', name: bound });
    const driver = volume?.spec?.csi?.driver;
    if (!volume || driver === undefined) return [];
    const known = drivers.get({ namespace: '', name: driver });
    return known?.spec?.attachRequired === false ? [] : [volume];
  });
}

/** Wanted on a node: its Pods' volumes, each with one of the Pods, to tell it. */
export function wantedOn(
  storage: StorageListers,
  pods: readonly Pod[],
): Map<string, { volume: PersistentVolume; pod: Pod }> {
  const wanted = new Map<string, { volume: PersistentVolume; pod: Pod }>();
  for (const pod of pods.filter((one) => !isPodTerminal(one))) {
    for (const volume of attachableVolumes(storage, pod)) {
      wanted.set(volume.metadata.name, { volume, pod });
    }
  }
  return wanted;
}

/** The name tells volume, driver and node: it cannot be made twice (upstream's getAttachmentName). */
export function attachmentFor(volume: PersistentVolume, node: string): Draft<VolumeAttachment> {
  const { driver = '', volumeHandle = '' } = volume.spec?.csi ?? {};
  const hash = createHash('sha256').update(`${volumeHandle}${driver}${node}`).digest('hex');
  return {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'VolumeAttachment',
    metadata: { name: `csi-${hash}` },
    spec: {
      attacher: driver,
      nodeName: node,
      source: { persistentVolumeName: volume.metadata.name },
    },
  };
}

/** Attachments that others made under names of their own are theirs to take away. */
export function isOurs({ metadata }: VolumeAttachment): boolean {
  return /^csi-[0-9a-f]{64}$/.test(metadata.name);
}

/** How a node's status names a volume. */
export function uniqueName({ spec }: PersistentVolume): string {
  return `kubernetes.io/csi/${spec?.csi?.driver}^${spec?.csi?.volumeHandle}`;
}

/** Attached to another node, and made for one node only. */
export function isHeldElsewhere(
  volume: PersistentVolume,
  node: string,
  attachments: readonly VolumeAttachment[],
): boolean {
  const shared = volume.spec?.accessModes?.some((mode) => mode.endsWith('Many')) ?? false;
  return !shared && attachments.some(({ spec }) => spec.nodeName !== node);
}

/** The kubelet says that it has the volume mounted, or is about to. A node that is gone or dead says nothing. */
export function isInUse(node: Node | undefined, volume: PersistentVolume | undefined): boolean {
  if (!node || !volume) return false;
  const dead = node.spec?.taints?.some(({ key }) => key === 'node.kubernetes.io/out-of-service');
  return !dead && (node.status?.volumesInUse?.includes(uniqueName(volume)) ?? false);
}
