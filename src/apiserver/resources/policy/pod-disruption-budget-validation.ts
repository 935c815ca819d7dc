import { type FieldError, invalid } from '../../../api/field-errors.ts';
import { percentOf } from '../../../api/int-or-string.ts';
import type { PodDisruptionBudget } from '../../../api/types.ts';
import { countOrPercent, optionalOneOf, validateLabelSelector } from '../validation.ts';

export function validateBudget({ spec }: PodDisruptionBudget): FieldError[] {
  const out: FieldError[] = [];
  const { minAvailable, maxUnavailable, selector, unhealthyPodEvictionPolicy } = spec ?? {};
  if (minAvailable !== undefined && maxUnavailable !== undefined) {
    out.push(invalid('spec', spec, 'minAvailable and maxUnavailable cannot be both set'));
  }
  for (const [part, value] of Object.entries({ minAvailable, maxUnavailable })) {
    out.push(...countOrPercent(value, `spec.${part}`));
    if ((percentOf(value ?? 0) ?? 0) > 100) {
      out.push(invalid(`spec.${part}`, value, 'must not be greater than 100%'));
    }
  }
  out.push(...validateLabelSelector(selector, 'spec.selector'));
  const policies = ['AlwaysAllow', 'IfHealthyBudget'];
  const field = 'spec.unhealthyPodEvictionPolicy';
  return [...out, ...optionalOneOf(unhealthyPodEvictionPolicy, policies, field)];
}
