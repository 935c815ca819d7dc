import { PERSISTENT_VOLUMES } from '../../../api/resource-types.ts';
import type { PersistentVolume } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN, statusSubresource } from '../kind.ts';
import { keepAllButStatus, keepStatus } from '../status.ts';
import { accessModesText } from './volume-cells.ts';
import { validateVolume, validateVolumeUpdate } from './volume-validation.ts';

function defaultVolume(volume: PersistentVolume): void {
  volume.status ??= {};
  volume.status.phase ??= 'Pending';
  const spec = volume.spec;
  if (!spec) return;
  spec.persistentVolumeReclaimPolicy ??= 'Retain';
  spec.volumeMode ??= 'Filesystem';
  if (spec.hostPath) spec.hostPath.type ??= '';
  if (spec.iscsi) spec.iscsi.iscsiInterface ??= 'default';
  if (spec.rbd) {
    spec.rbd.pool ??= 'rbd';
    spec.rbd.user ??= 'admin';
    spec.rbd.keyring ??= '/etc/ceph/keyring';
  }
  if (spec.azureDisk) {
    spec.azureDisk.cachingMode ??= 'ReadWrite';
    spec.azureDisk.kind ??= 'Shared';
    spec.azureDisk.fsType ??= 'ext4';
    spec.azureDisk.readOnly ??= false;
  }
  if (spec.scaleIO) {
    spec.scaleIO.storageMode ??= 'ThinProvisioned';
    spec.scaleIO.fsType ??= 'xfs';
  }
}

export const persistentVolumeKind = defineKind<PersistentVolume>({
  type: PERSISTENT_VOLUMES,
  shortNames: ['pv'],
  strategy: {
    default: defaultVolume,
    prepareForCreate(volume) {
      volume.status = { phase: 'Pending' };
    },
    prepareForUpdate: keepStatus,
    validate: validateVolume,
    validateUpdate: validateVolumeUpdate,
  },
  subresources: {
    status: statusSubresource<PersistentVolume>({
      default: defaultVolume,
      prepareForUpdate(volume, old, context) {
        keepAllButStatus(volume, old);
        if (!volume.status || volume.status.phase === old.status?.phase) return;
        volume.status.lastPhaseTransitionTime = new Date(context.now)
          .toISOString()
          .replace(/\.\d+Z$/, 'Z');
      },
    }),
  },
  columns: [
    NAME_COLUMN,
    column('Capacity', 'Size of the volume.'),
    column('Access Modes', 'How it may be mounted.'),
    column('Reclaim Policy', 'What happens to it when its claim goes.'),
    column('Status', 'Phase of the volume.'),
    column('Claim', 'Claim that it is bound to.'),
    column('StorageClass', 'Class that it belongs to.'),
    column('VolumeAttributesClass', 'Class of its mutable attributes.'),
    column('Reason', 'Why it is in that phase.'),
    AGE_COLUMN,
    column('VolumeMode', 'Filesystem or Block.', { wide: true }),
  ],
  row: ({ metadata, spec, status }, now) => [
    metadata.name,
    spec?.capacity?.storage ?? '0',
    accessModesText(spec?.accessModes),
    spec?.persistentVolumeReclaimPolicy ?? '',
    metadata.deletionTimestamp ? 'Terminating' : (status?.phase ?? ''),
    spec?.claimRef ? `${spec.claimRef.namespace ?? ''}/${spec.claimRef.name ?? ''}` : '',
    metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ??
      spec?.storageClassName ??
      '',
    spec?.volumeAttributesClassName ?? '<unset>',
    status?.reason ?? '',
    age(metadata.creationTimestamp, now),
    spec?.volumeMode ?? '<unset>',
  ],
});
