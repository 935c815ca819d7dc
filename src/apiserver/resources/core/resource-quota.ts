import { RESOURCE_QUOTAS } from '../../../api/resource-types.ts';
import type { ResourceQuota } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN, withStatus } from '../kind.ts';
import { validateQuota, validateQuotaStatus, validateQuotaUpdate } from './quota-validation.ts';

/** `RESOURCE: USED/HARD` for the limits, or for all the others. */
function usageText({ status }: ResourceQuota, limits: boolean): string {
  return Object.keys(status?.hard ?? {})
    .filter((name) => name.startsWith('limits') === limits)
    .sort()
    .map((name) => `${name}: ${status?.used?.[name] ?? '0'}/${status?.hard?.[name]}`)
    .join(', ');
}

export const resourceQuotaKind = defineKind<ResourceQuota>({
  type: RESOURCE_QUOTAS,
  shortNames: ['quota'],
  ...withStatus<ResourceQuota>({
    validate: validateQuota,
    validateUpdate: validateQuotaUpdate,
    validateStatus: validateQuotaStatus,
  }),
  columns: [
    NAME_COLUMN,
    column('Request', 'Requests and counts: used, of what is allowed.'),
    column('Limit', 'Limits: used, of what is allowed.'),
    AGE_COLUMN,
  ],
  row: (quota, now) => [
    quota.metadata.name,
    usageText(quota, false),
    usageText(quota, true),
    age(quota.metadata.creationTimestamp, now),
  ],
});
