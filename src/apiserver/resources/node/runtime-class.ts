import { RUNTIME_CLASSES } from '../../../api/system-resource-types.ts';
import type { RuntimeClass } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { validateRuntimeClass, validateRuntimeClassUpdate } from '../cluster-validation.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN } from '../kind.ts';

export const runtimeClassKind = defineKind<RuntimeClass>({
  type: RUNTIME_CLASSES,
  strategy: { validate: validateRuntimeClass, validateUpdate: validateRuntimeClassUpdate },
  columns: [NAME_COLUMN, column('Handler', 'How the node calls the runtime.'), AGE_COLUMN],
  row: ({ metadata, handler }, now) => [
    metadata.name,
    handler,
    age(metadata.creationTimestamp, now),
  ],
});
