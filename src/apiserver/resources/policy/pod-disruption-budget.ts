import { POD_DISRUPTION_BUDGETS } from '../../../api/resource-types.ts';
import type { PodDisruptionBudget } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN, withStatus } from '../kind.ts';
import { validateBudget } from './pod-disruption-budget-validation.ts';

export const podDisruptionBudgetKind = defineKind<PodDisruptionBudget>({
  type: POD_DISRUPTION_BUDGETS,
  shortNames: ['pdb'],
  ...withStatus<PodDisruptionBudget>({
    validate: validateBudget,
    validateUpdate: validateBudget,
    generationFields: ['spec'],
  }),
  columns: [
    NAME_COLUMN,
    column('Min Available', 'Pods that must stay available.'),
    column('Max Unavailable', 'Pods that may be unavailable.'),
    column('Allowed Disruptions', 'Evictions allowed now.', { type: 'integer' }),
    AGE_COLUMN,
  ],
  row: ({ metadata, spec, status }, now) => [
    metadata.name,
    String(spec?.minAvailable ?? 'N/A'),
    String(spec?.maxUnavailable ?? 'N/A'),
    status?.disruptionsAllowed ?? 0,
    age(metadata.creationTimestamp, now),
  ],
});
