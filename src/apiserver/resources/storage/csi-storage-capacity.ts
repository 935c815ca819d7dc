import { CSI_STORAGE_CAPACITIES } from '../../../api/system-resource-types.ts';
import type { CSIStorageCapacity } from '../../../api/types.ts';
import { defineKind } from '../kind.ts';

export const csiStorageCapacityKind = defineKind<CSIStorageCapacity>({
  type: CSI_STORAGE_CAPACITIES,
});
