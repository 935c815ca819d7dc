import { RESOURCE_CLAIMS } from '../../../api/system-resource-types.ts';
import type { ResourceClaim } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN, withStatus } from '../kind.ts';
import { defaultClaimSpec } from './claim-defaults.ts';
import { validateClaim, validateClaimStatus, validateClaimUpdate } from './validation.ts';

function stateText({ metadata, status }: ResourceClaim): string {
  const states: string[] = [];
  if (metadata.deletionTimestamp) states.push('deleted');
  if (status?.allocation) states.push('allocated');
  else if (!metadata.deletionTimestamp) states.push('pending');
  if (status?.reservedFor?.length) states.push('reserved');
  return states.join(',');
}

export const resourceClaimKind = defineKind<ResourceClaim>({
  type: RESOURCE_CLAIMS,
  ...withStatus<ResourceClaim>({
    statusAlone: true,
    default: ({ spec }) => defaultClaimSpec(spec),
    validate: validateClaim,
    validateUpdate: validateClaimUpdate,
    validateStatus: validateClaimStatus,
  }),
  columns: [NAME_COLUMN, column('State', 'Whether it is allocated and reserved.'), AGE_COLUMN],
  row: (claim, now) => [
    claim.metadata.name,
    stateText(claim),
    age(claim.metadata.creationTimestamp, now),
  ],
});
