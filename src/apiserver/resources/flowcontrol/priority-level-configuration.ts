import { PRIORITY_LEVEL_CONFIGURATIONS } from '../../../api/system-resource-types.ts';
import type { PriorityLevelConfiguration } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN, withStatus } from '../kind.ts';
import { validatePriorityLevel } from './validation.ts';

export const priorityLevelConfigurationKind = defineKind<PriorityLevelConfiguration>({
  type: PRIORITY_LEVEL_CONFIGURATIONS,
  ...withStatus<PriorityLevelConfiguration>({
    statusAlone: true,
    default({ spec }) {
      if (spec?.exempt) {
        spec.exempt.nominalConcurrencyShares ??= 0;
        spec.exempt.lendablePercent ??= 0;
      }
      if (!spec?.limited) return;
      spec.limited.nominalConcurrencyShares ??= 30;
      spec.limited.lendablePercent ??= 0;
      const queuing = spec.limited.limitResponse?.queuing;
      if (!queuing) return;
      queuing.queues ??= 64;
      queuing.handSize ??= 8;
      queuing.queueLengthLimit ??= 50;
    },
    validate: validatePriorityLevel,
    validateUpdate: validatePriorityLevel,
    generationFields: ['spec'],
  }),
  columns: [
    NAME_COLUMN,
    column('Type', 'Limited or Exempt.'),
    column('NominalConcurrencyShares', 'Its share of the server.'),
    column('Queues', 'How many queues it has.'),
    column('HandSize', 'How many queues one flow may use.'),
    column('QueueLengthLimit', 'How many requests one queue holds.'),
    AGE_COLUMN,
  ],
  row: ({ metadata, spec }, now) => {
    const queuing = spec?.limited?.limitResponse?.queuing;
    const shares = (spec?.limited ?? spec?.exempt)?.nominalConcurrencyShares;
    return [
      metadata.name,
      spec?.type ?? '',
      shares ?? '<none>',
      queuing?.queues ?? '<none>',
      queuing?.handSize ?? '<none>',
      queuing?.queueLengthLimit ?? '<none>',
      age(metadata.creationTimestamp, now),
    ];
  },
});
