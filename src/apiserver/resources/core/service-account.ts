import { SERVICE_ACCOUNTS } from '../../../api/resource-types.ts';
import type { ServiceAccount } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, connectSubresource, defineKind, NAME_COLUMN } from '../kind.ts';

export const serviceAccountKind = defineKind<ServiceAccount>({
  type: SERVICE_ACCOUNTS,
  shortNames: ['sa'],
  subresources: {
    token: connectSubresource('TokenRequest', ['create'], 'authentication.k8s.io/v1'),
  },
  columns: [NAME_COLUMN, AGE_COLUMN],
  row: ({ metadata }, now) => [metadata.name, age(metadata.creationTimestamp, now)],
});
