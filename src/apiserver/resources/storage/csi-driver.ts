import { CSI_DRIVERS } from '../../../api/system-resource-types.ts';
import type { CSIDriver } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN } from '../kind.ts';
import { validateCsiDriver, validateCsiDriverUpdate } from './validation.ts';

export const csiDriverKind = defineKind<CSIDriver>({
  type: CSI_DRIVERS,
  strategy: {
    default({ spec }) {
      spec.attachRequired ??= true;
      spec.podInfoOnMount ??= false;
      spec.storageCapacity ??= false;
      spec.fsGroupPolicy ??= 'ReadWriteOnceWithFSType';
      spec.requiresRepublish ??= false;
      spec.seLinuxMount ??= false;
      if (!spec.volumeLifecycleModes?.length) spec.volumeLifecycleModes = ['Persistent'];
    },
    validate: validateCsiDriver,
    validateUpdate: validateCsiDriverUpdate,
    generationFields: ['spec'],
  },
  columns: [
    NAME_COLUMN,
    column('AttachRequired', 'Whether volumes are attached before use.', { type: 'boolean' }),
    column('PodInfoOnMount', 'Whether mounts are told about their Pod.', { type: 'boolean' }),
    column('StorageCapacity', 'Whether it publishes free capacity.', { type: 'boolean' }),
    column('TokenRequests', 'Audiences of the tokens that it gets.'),
    column('RequiresRepublish', 'Whether volumes are published again and again.', {
      type: 'boolean',
    }),
    column('Modes', 'Lifecycles of volumes that it knows.'),
    AGE_COLUMN,
  ],
  row: ({ metadata, spec }, now) => [
    metadata.name,
    spec.attachRequired ?? true,
    spec.podInfoOnMount ?? false,
    spec.storageCapacity ?? false,
    spec.tokenRequests?.length ? spec.tokenRequests.map((r) => r.audience).join(',') : '<unset>',
    spec.requiresRepublish ?? false,
    spec.volumeLifecycleModes?.length ? spec.volumeLifecycleModes.join(',') : '<none>',
    age(metadata.creationTimestamp, now),
  ],
});
