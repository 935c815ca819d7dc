import { COMPONENT_STATUSES } from '../../../api/resource-types.ts';
import type { ComponentStatus } from '../../../api/types.ts';
import { column, defineKind, NAME_COLUMN } from '../kind.ts';

export const componentStatusKind = defineKind<ComponentStatus>({
  type: COMPONENT_STATUSES,
  shortNames: ['cs'],
  verbs: ['get', 'list'],
  virtual: true,
  columns: [
    NAME_COLUMN,
    column('Status', 'Whether the component is healthy.'),
    column('Message', 'What it says about itself.'),
    column('Error', 'Why it could not be asked.'),
  ],
  row: ({ metadata, conditions }) => {
    const healthy = conditions?.find((c) => c.type === 'Healthy');
    const status = healthy?.status === 'True' ? 'Healthy' : 'Unhealthy';
    return [metadata.name, status, healthy?.message ?? '', healthy?.error ?? ''];
  },
});
