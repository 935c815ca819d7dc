import { STORAGE_CLASSES } from '../../../api/system-resource-types.ts';
import type { StorageClass } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN } from '../kind.ts';
import { validateStorageClass, validateStorageClassUpdate } from './validation.ts';

const DEFAULT_MARKS = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];

function isDefault({ metadata }: StorageClass): boolean {
  return DEFAULT_MARKS.some((mark) => metadata.annotations?.[mark] === 'true');
}

export const storageClassKind = defineKind<StorageClass>({
  type: STORAGE_CLASSES,
  shortNames: ['sc'],
  strategy: {
    default(storageClass) {
      storageClass.reclaimPolicy ??= 'Delete';
      storageClass.volumeBindingMode ??= 'Immediate';
    },
    validate: validateStorageClass,
    validateUpdate: validateStorageClassUpdate,
    allowCreateOnUpdate: true,
  },
  columns: [
    NAME_COLUMN,
    column('Provisioner', 'Who makes its volumes.'),
    column('ReclaimPolicy', 'What happens to a volume when its claim goes.'),
    column('VolumeBindingMode', 'When a volume is made for a claim.'),
    column('AllowVolumeExpansion', 'Whether volumes may grow.'),
    AGE_COLUMN,
  ],
  row: (storageClass, now) => [
    storageClass.metadata.name + (isDefault(storageClass) ? ' (default)' : ''),
    storageClass.provisioner,
    storageClass.reclaimPolicy ?? 'Delete',
    storageClass.volumeBindingMode ?? 'Immediate',
    storageClass.allowVolumeExpansion ?? false,
    age(storageClass.metadata.creationTimestamp, now),
  ],
});
