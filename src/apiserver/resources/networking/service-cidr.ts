import { SERVICE_CIDRS } from '../../../api/resource-types.ts';
import type { ServiceCIDR } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { validateServiceCidr, validateServiceCidrUpdate } from '../cluster-validation.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN, withStatus } from '../kind.ts';

export const serviceCidrKind = defineKind<ServiceCIDR>({
  type: SERVICE_CIDRS,
  ...withStatus<ServiceCIDR>({
    statusAlone: true,
    validate: validateServiceCidr,
    validateUpdate: validateServiceCidrUpdate,
  }),
  columns: [NAME_COLUMN, column('CIDRs', 'Ranges that cluster IPs come from.'), AGE_COLUMN],
  row: ({ metadata, spec }, now) => [
    metadata.name,
    (spec?.cidrs ?? []).join(','),
    age(metadata.creationTimestamp, now),
  ],
});
