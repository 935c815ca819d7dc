import { CSI_STORAGE_CAPACITIES } from '../../../api/system-resource-types.ts';
import type { CSIStorageCapacity } from '../../../api/types.ts';
import { defineKind } from '../kind.ts';
import { validateCapacity, validateCapacityUpdate } from './validation.ts';

export const csiStorageCapacityKind = defineKind<CSIStorageCapacity>({
  type: CSI_STORAGE_CAPACITIES,
  strategy: { validate: validateCapacity, validateUpdate: validateCapacityUpdate },
});
