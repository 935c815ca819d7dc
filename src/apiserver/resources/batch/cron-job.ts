import { defaultPodTemplate } from '../../../api/pod-defaults.ts';
import { CRON_JOBS } from '../../../api/resource-types.ts';
import type { CronJob } from '../../../api/types.ts';
import { age, formatSelector, printBool } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN, withStatus } from '../kind.ts';
import { SELECTOR_COLUMN, TEMPLATE_COLUMNS, templateCells } from '../pod-spec/template-columns.ts';
import { validateCronJob, validateCronJobSpec } from './job-validation.ts';

export const cronJobKind = defineKind<CronJob>({
  type: CRON_JOBS,
  shortNames: ['cj'],
  categories: ['all'],
  ...withStatus<CronJob>({
    default({ spec }) {
      if (!spec) return;
      spec.concurrencyPolicy ??= 'Allow';
      spec.suspend ??= false;
      spec.successfulJobsHistoryLimit ??= 3;
      spec.failedJobsHistoryLimit ??= 1;
      // The Job's own fields get their defaults when a Job is made; only the Pod's are filled in here.
      defaultPodTemplate(spec.jobTemplate?.spec?.template);
    },
    validate: validateCronJob,
    validateUpdate: ({ spec }) => validateCronJobSpec(spec),
    generationFields: ['spec'],
  }),
  columns: [
    NAME_COLUMN,
    column('Schedule', 'When it starts Jobs, in cron form.'),
    column('Timezone', 'Time zone of the schedule.'),
    column('Suspend', 'Whether it is suspended.', { type: 'boolean' }),
    column('Active', 'Jobs that run now.', { type: 'integer' }),
    column('Last Schedule', 'Time since it last started a Job.'),
    AGE_COLUMN,
    ...TEMPLATE_COLUMNS,
    SELECTOR_COLUMN,
  ],
  row: ({ metadata, spec, status }, now) => [
    metadata.name,
    spec?.schedule ?? '',
    spec?.timeZone ?? '<none>',
    printBool(spec?.suspend),
    status?.active?.length ?? 0,
    status?.lastScheduleTime ? age(status.lastScheduleTime, now) : '<none>',
    age(metadata.creationTimestamp, now),
    ...templateCells(spec?.jobTemplate?.spec?.template),
    formatSelector(spec?.jobTemplate?.spec?.selector),
  ],
});
