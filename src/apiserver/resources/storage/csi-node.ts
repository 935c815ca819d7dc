import { CSI_NODES } from '../../../api/system-resource-types.ts';
import type { CSINode } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN } from '../kind.ts';
import { validateCsiNode, validateCsiNodeUpdate } from './validation.ts';

export const csiNodeKind = defineKind<CSINode>({
  type: CSI_NODES,
  strategy: { validate: validateCsiNode, validateUpdate: validateCsiNodeUpdate },
  columns: [
    NAME_COLUMN,
    column('Drivers', 'How many drivers the node has.', { type: 'integer' }),
    AGE_COLUMN,
  ],
  row: ({ metadata, spec }, now) => [
    metadata.name,
    spec.drivers?.length ?? 0,
    age(metadata.creationTimestamp, now),
  ],
});
