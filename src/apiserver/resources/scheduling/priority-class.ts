import { PRIORITY_CLASSES } from '../../../api/system-resource-types.ts';
import type { PriorityClass } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { validatePriorityClass, validatePriorityClassUpdate } from '../cluster-validation.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN } from '../kind.ts';

export const priorityClassKind = defineKind<PriorityClass>({
  type: PRIORITY_CLASSES,
  shortNames: ['pc'],
  strategy: {
    default(priorityClass) {
      priorityClass.preemptionPolicy ??= 'PreemptLowerPriority';
    },
    validate: validatePriorityClass,
    validateUpdate: validatePriorityClassUpdate,
    generationFields: ['value', 'globalDefault', 'description', 'preemptionPolicy'],
  },
  columns: [
    NAME_COLUMN,
    column('Value', 'Priority of its Pods; more goes first.', { type: 'integer' }),
    column('Global-Default', 'Whether Pods without a class get it.', { type: 'boolean' }),
    AGE_COLUMN,
    column('PreemptionPolicy', 'Whether its Pods push others out.'),
  ],
  row: ({ metadata, value, globalDefault, preemptionPolicy }, now) => [
    metadata.name,
    value ?? 0,
    globalDefault ?? false,
    age(metadata.creationTimestamp, now),
    preemptionPolicy ?? '',
  ],
});
