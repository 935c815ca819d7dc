import { RESOURCE_SLICES } from '../../../api/system-resource-types.ts';
import type { ResourceSlice } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN } from '../kind.ts';
import { stampTaints } from './slice-taints.ts';
import { validateSlice, validateSliceUpdate } from './validation.ts';

export const resourceSliceKind = defineKind<ResourceSlice>({
  type: RESOURCE_SLICES,
  strategy: {
    prepareForCreate: (slice, { now }) => stampTaints(slice, now),
    prepareForUpdate: (slice, old, { now }) => stampTaints(slice, now, old),
    validate: validateSlice,
    validateUpdate: validateSliceUpdate,
    generationFields: ['spec'],
  },
  columns: [
    NAME_COLUMN,
    column('Node', 'Node that has the devices.'),
    column('Driver', 'Driver that offers them.'),
    column('Pool', 'Pool that they belong to.'),
    AGE_COLUMN,
  ],
  row: ({ metadata, spec }, now) => [
    metadata.name,
    spec.nodeName || '<unset>',
    spec.driver,
    spec.pool.name,
    age(metadata.creationTimestamp, now),
  ],
  fieldsOf: ({ spec }) => ({
    'spec.nodeName': spec?.nodeName ?? '',
    'spec.driver': spec?.driver ?? '',
  }),
});
