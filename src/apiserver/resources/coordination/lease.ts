import { type FieldError, forbidden, invalid } from '../../../api/field-errors.ts';
import { qualifiedName } from '../../../api/names.ts';
import { LEASES } from '../../../api/resource-types.ts';
import type { Lease } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN } from '../kind.ts';
import { checked } from '../validation.ts';

function validateLease({ spec }: Lease): FieldError[] {
  const out: FieldError[] = [];
  const { leaseDurationSeconds, leaseTransitions, strategy } = spec ?? {};
  if (leaseDurationSeconds !== undefined && leaseDurationSeconds <= 0) {
    const field = 'spec.leaseDurationSeconds';
    out.push(invalid(field, leaseDurationSeconds, 'must be greater than 0'));
  }
  if (leaseTransitions !== undefined && leaseTransitions < 0) {
    const detail = 'must be greater than or equal to 0';
    out.push(invalid('spec.leaseTransitions', leaseTransitions, detail));
  }
  if (strategy) out.push(...checked(strategy, qualifiedName, 'spec.strategy'));
  if (spec?.preferredHolder && !strategy) {
    out.push(forbidden('spec.preferredHolder', 'may only be specified if `strategy` is defined'));
  }
  return out;
}

export const leaseKind = defineKind<Lease>({
  type: LEASES,
  strategy: { allowCreateOnUpdate: true, validate: validateLease, validateUpdate: validateLease },
  columns: [NAME_COLUMN, column('Holder', 'Who holds the lease.'), AGE_COLUMN],
  row: ({ metadata, spec }, now) => [
    metadata.name,
    spec?.holderIdentity ?? '',
    age(metadata.creationTimestamp, now),
  ],
});
