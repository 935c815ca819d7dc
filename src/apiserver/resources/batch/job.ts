import { JOBS } from '../../../api/resource-types.ts';
import type { Job } from '../../../api/types.ts';
import { age, between, formatSelector } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN, withStatus } from '../kind.ts';
import { SELECTOR_COLUMN, TEMPLATE_COLUMNS, templateCells } from '../pod-spec/template-columns.ts';
import { withoutStatus } from '../status.ts';
import { defaultJobSpec } from './job-defaults.ts';
import { validateJob, validateJobUpdate } from './job-validation.ts';

const UID_LABEL = 'batch.kubernetes.io/controller-uid';
const NAME_LABEL = 'batch.kubernetes.io/job-name';

/** Unless the user manages the selector, Pods are told apart by the Job's own uid. */
function generateSelector(job: Job): void {
  const spec = job.spec;
  if (!spec || spec.manualSelector || !spec.template) return;
  const { uid = '', name = '' } = job.metadata;
  spec.template.metadata ??= {};
  spec.template.metadata.labels = {
    ...spec.template.metadata.labels,
    [UID_LABEL]: uid,
    [NAME_LABEL]: name,
    // The names of the same labels before they had a prefix.
    'controller-uid': uid,
    'job-name': name,
  };
  const matchLabels = { ...spec.selector?.matchLabels };
  if (matchLabels['controller-uid'] === undefined) matchLabels[UID_LABEL] = uid;
  spec.selector = { ...spec.selector, matchLabels };
}

function statusText({ metadata, status }: Job): string {
  const has = (type: string) =>
    status?.conditions?.some((c) => c.type === type && c.status === 'True') ?? false;
  for (const type of ['Complete', 'Failed']) if (has(type)) return type;
  if (metadata.deletionTimestamp) return 'Terminating';
  for (const type of ['Suspended', 'FailureTarget', 'SuccessCriteriaMet'])
    if (has(type)) return type;
  return 'Running';
}

function completionsText({ spec, status }: Job): string {
  const done = status?.succeeded ?? 0;
  if (spec?.completions !== undefined) return `${done}/${spec.completions}`;
  const parallelism = spec?.parallelism ?? 0;
  return parallelism > 1 ? `${done}/1 of ${parallelism}` : `${done}/1`;
}

function durationText({ status }: Job, now: number): string {
  if (!status?.startTime) return '';
  return between(status.startTime, status.completionTime ?? new Date(now).toISOString());
}

export const jobKind = defineKind<Job>({
  type: JOBS,
  categories: ['all'],
  ...withStatus<Job>({
    default(job) {
      const labels = job.spec?.template?.metadata?.labels;
      if (labels && !job.metadata.labels) job.metadata.labels = { ...labels };
      defaultJobSpec(job.spec);
    },
    prepareForCreate(job) {
      withoutStatus(job);
      generateSelector(job);
    },
    validate: validateJob,
    validateUpdate: validateJobUpdate,
    generationFields: ['spec'],
  }),
  columns: [
    NAME_COLUMN,
    column('Status', 'How far the Job is.'),
    column('Completions', 'Pods that succeeded, of those wanted.'),
    column('Duration', 'From its start to its end, or to now.'),
    AGE_COLUMN,
    ...TEMPLATE_COLUMNS,
    SELECTOR_COLUMN,
  ],
  row: (job, now) => [
    job.metadata.name,
    statusText(job),
    completionsText(job),
    durationText(job, now),
    age(job.metadata.creationTimestamp, now),
    ...templateCells(job.spec?.template),
    formatSelector(job.spec?.selector),
  ],
  fieldsOf: ({ status }) => ({ 'status.successful': String(status?.succeeded ?? 0) }),
});
