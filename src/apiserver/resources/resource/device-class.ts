import { DEVICE_CLASSES } from '../../../api/system-resource-types.ts';
import type { DeviceClass } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, defineKind, NAME_COLUMN } from '../kind.ts';
import { validateClass } from './validation.ts';

export const deviceClassKind = defineKind<DeviceClass>({
  type: DEVICE_CLASSES,
  strategy: {
    validate: validateClass,
    validateUpdate: validateClass,
    generationFields: ['spec'],
  },
  columns: [NAME_COLUMN, AGE_COLUMN],
  row: ({ metadata }, now) => [metadata.name, age(metadata.creationTimestamp, now)],
});
