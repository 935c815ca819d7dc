import { LEASES } from '../../../api/resource-types.ts';
import type { Lease } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN } from '../kind.ts';

export const leaseKind = defineKind<Lease>({
  type: LEASES,
  strategy: { allowCreateOnUpdate: true },
  columns: [NAME_COLUMN, column('Holder', 'Who holds the lease.'), AGE_COLUMN],
  row: ({ metadata, spec }, now) => [
    metadata.name,
    spec?.holderIdentity ?? '',
    age(metadata.creationTimestamp, now),
  ],
});
