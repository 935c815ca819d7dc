import { FLOW_SCHEMAS } from '../../../api/system-resource-types.ts';
import type { FlowSchema } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN, withStatus } from '../kind.ts';
import { validateFlowSchema } from './validation.ts';

export const flowSchemaKind = defineKind<FlowSchema>({
  type: FLOW_SCHEMAS,
  ...withStatus<FlowSchema>({
    statusAlone: true,
    default({ spec }) {
      if (spec) spec.matchingPrecedence ??= 1000;
    },
    validate: validateFlowSchema,
    validateUpdate: validateFlowSchema,
    generationFields: ['spec'],
  }),
  columns: [
    NAME_COLUMN,
    column('PriorityLevel', 'Priority level that it sends requests to.'),
    column('MatchingPrecedence', 'Which schema is asked first; less is sooner.'),
    column('DistinguisherMethod', 'How requests are parted into flows.'),
    AGE_COLUMN,
    column('MissingPL', 'Whether its priority level is missing.'),
  ],
  row: ({ metadata, spec, status }, now) => [
    metadata.name,
    spec?.priorityLevelConfiguration.name ?? '',
    spec?.matchingPrecedence ?? 0,
    spec?.distinguisherMethod?.type ?? '<none>',
    age(metadata.creationTimestamp, now),
    status?.conditions?.find((c) => c.type === 'Dangling')?.status ?? '?',
  ],
});
