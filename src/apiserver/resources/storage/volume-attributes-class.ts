import { VOLUME_ATTRIBUTES_CLASSES } from '../../../api/system-resource-types.ts';
import type { VolumeAttributesClass } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN } from '../kind.ts';
import { validateAttributesClass, validateAttributesClassUpdate } from './validation.ts';

export const volumeAttributesClassKind = defineKind<VolumeAttributesClass>({
  type: VOLUME_ATTRIBUTES_CLASSES,
  shortNames: ['vac'],
  strategy: {
    validate: validateAttributesClass,
    validateUpdate: validateAttributesClassUpdate,
  },
  columns: [NAME_COLUMN, column('DriverName', 'Driver that knows the attributes.'), AGE_COLUMN],
  row: ({ metadata, driverName }, now) => [
    metadata.name,
    driverName,
    age(metadata.creationTimestamp, now),
  ],
});
