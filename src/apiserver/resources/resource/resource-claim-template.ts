import { RESOURCE_CLAIM_TEMPLATES } from '../../../api/system-resource-types.ts';
import type { ResourceClaimTemplate } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, defineKind, NAME_COLUMN } from '../kind.ts';
import { defaultClaimSpec } from './claim-defaults.ts';
import { validateTemplate, validateTemplateUpdate } from './validation.ts';

export const resourceClaimTemplateKind = defineKind<ResourceClaimTemplate>({
  type: RESOURCE_CLAIM_TEMPLATES,
  strategy: {
    default: ({ spec }) => defaultClaimSpec(spec.spec),
    validate: validateTemplate,
    validateUpdate: validateTemplateUpdate,
  },
  columns: [NAME_COLUMN, AGE_COLUMN],
  row: ({ metadata }, now) => [metadata.name, age(metadata.creationTimestamp, now)],
});
