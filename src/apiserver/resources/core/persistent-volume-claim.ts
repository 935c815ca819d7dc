import { PERSISTENT_VOLUME_CLAIMS } from '../../../api/resource-types.ts';
import type { PersistentVolumeClaim } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN, withStatus } from '../kind.ts';
import { keepStatus } from '../status.ts';
import { accessModesText } from './volume-cells.ts';
import { validateClaim, validateClaimUpdate } from './volume-validation.ts';

export const persistentVolumeClaimKind = defineKind<PersistentVolumeClaim>({
  type: PERSISTENT_VOLUME_CLAIMS,
  shortNames: ['pvc'],
  ...withStatus<PersistentVolumeClaim>({
    default(claim) {
      claim.status ??= {};
      claim.status.phase ??= 'Pending';
      const spec = claim.spec;
      if (!spec) return;
      spec.volumeMode ??= 'Filesystem';
      // The old name of the source and the new one say the same, as far as the old one can.
      if (spec.dataSource && !spec.dataSourceRef) spec.dataSourceRef = { ...spec.dataSource };
      else if (spec.dataSourceRef && !spec.dataSource && !spec.dataSourceRef.namespace) {
        spec.dataSource = { ...spec.dataSourceRef };
      }
    },
    prepareForCreate(claim) {
      claim.status = { phase: 'Pending' };
    },
    prepareForUpdate: keepStatus,
    validate: validateClaim,
    validateUpdate: validateClaimUpdate,
  }),
  columns: [
    NAME_COLUMN,
    column('Status', 'Phase of the claim.'),
    column('Volume', 'Volume that it is bound to.'),
    column('Capacity', 'Size of that volume.'),
    column('Access Modes', 'How that volume may be mounted.'),
    column('StorageClass', 'Class that it asks for.'),
    column('VolumeAttributesClass', 'Class of mutable attributes that it asks for.'),
    AGE_COLUMN,
    column('VolumeMode', 'Filesystem or Block.', { wide: true }),
  ],
  row: ({ metadata, spec, status }, now) => [
    metadata.name,
    metadata.deletionTimestamp ? 'Terminating' : (status?.phase ?? ''),
    spec?.volumeName ?? '',
    spec?.volumeName ? (status?.capacity?.storage ?? '0') : '',
    spec?.volumeName ? accessModesText(status?.accessModes) : '',
    metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ??
      spec?.storageClassName ??
      '',
    spec?.volumeAttributesClassName ?? '<unset>',
    age(metadata.creationTimestamp, now),
    spec?.volumeMode ?? '<unset>',
  ],
});
