import { type FieldError, invalid, required } from '../../../api/field-errors.ts';
import { fromMap, matches } from '../../../api/labels.ts';
import { validateLabels } from '../../../api/metadata-validation.ts';
import type { PodTemplate, ReplicationController } from '../../../api/types.ts';
import { validateAlwaysTemplate } from '../apps/workload-validation.ts';
import { validatePodTemplate, validateReplicas } from '../pod-spec/validate-pod-spec.ts';
import { notNegative } from '../validation.ts';

export function validateController({ spec }: ReplicationController): FieldError[] {
  if (!spec) return [required('spec')];
  const selector = spec.selector ?? {};
  const labels = spec.template?.metadata?.labels;
  const out = notNegative(spec.minReadySeconds, 'spec.minReadySeconds');
  if (Object.keys(selector).length === 0) out.push(required('spec.selector'));
  out.push(
    ...validateLabels(selector, 'spec.selector'),
    ...validateReplicas(spec.replicas, 'spec.replicas'),
  );
  if (spec.template && !matches(fromMap(selector), labels)) {
    const detail = '`selector` does not match template `labels`';
    out.push(invalid('spec.template.metadata.labels', labels, detail));
  }
  return [...out, ...validateAlwaysTemplate(spec.template, 'ReplicationController')];
}

export function validateTemplate({ template }: PodTemplate): FieldError[] {
  return validatePodTemplate(template, 'template');
}
