import { type FieldError, forbidden, invalid, required } from '../../../api/field-errors.ts';
import { selects } from '../../../api/labels.ts';
import type { CronJob, Job } from '../../../api/types.ts';
import { cloneJson, jsonEqual } from '../../../util/json.ts';
import { validatePodTemplate } from '../pod-spec/validate-pod-spec.ts';
import { each, immutable, notNegative, oneOf, validateLabelSelector } from '../validation.ts';
import type { JobSpec } from './job-defaults.ts';
import { validateManagedBy, validateReplacement, validateSuccessPolicy } from './job-policies.ts';

const MAX_INDEXED_PARALLELISM = 100_000;
const MAX_CRON_NAME = 52;

export function validateJob({ spec }: Job): FieldError[] {
  if (!spec) return [required('spec')];
  const out = validateJobSpec(spec, 'spec');
  if (!spec.selector) return [...out, required('spec.selector')];
  out.push(...validateLabelSelector(spec.selector, 'spec.selector'));
  const labels = spec.template.metadata?.labels;
  if (out.length === 0 && !selects(spec.selector, labels)) {
    const detail = '`selector` does not match template `labels`';
    out.push(invalid('spec.template.metadata.labels', labels, detail));
  }
  return out;
}

const COUNTS = [
  'parallelism',
  'completions',
  'activeDeadlineSeconds',
  'backoffLimit',
  'ttlSecondsAfterFinished',
  'backoffLimitPerIndex',
  'maxFailedIndexes',
] as const;

/** A Job's spec, its own or the one that a CronJob holds. */
export function validateJobSpec(spec: JobSpec, path: string): FieldError[] {
  return [
    ...COUNTS.flatMap((part) => notNegative(spec[part], `${path}.${part}`)),
    ...validateCompletionMode(spec, path),
    ...validatePodTemplate(spec.template, `${path}.template`),
    ...validateRestart(spec, path),
    ...validateFailurePolicy(spec, path),
    ...validatePerIndex(spec, path),
    ...validateSuccessPolicy(spec, `${path}.successPolicy`),
    ...validateReplacement(spec, `${path}.podReplacementPolicy`),
    ...validateManagedBy(spec.managedBy, `${path}.managedBy`),
  ];
}

function validateRestart({ template, podFailurePolicy }: JobSpec, path: string): FieldError[] {
  const policy = template.spec?.restartPolicy;
  const field = `${path}.template.spec.restartPolicy`;
  if (policy === undefined) return [];
  // Saying nothing means Always, which a Job cannot be: it has to say something else.
  if (policy === 'Always') return [required(field, 'valid values: "OnFailure", "Never"')];
  if (policy === 'OnFailure' && podFailurePolicy) {
    return [invalid(field, policy, 'only "Never" is supported when podFailurePolicy is specified')];
  }
  return [];
}

function validateCompletionMode(spec: JobSpec, path: string): FieldError[] {
  const { completionMode, completions, parallelism = 0 } = spec;
  if (completionMode === undefined) return [];
  const out = oneOf(completionMode, ['Indexed', 'NonIndexed'], `${path}.completionMode`);
  if (completionMode !== 'Indexed') return out;
  if (completions === undefined) {
    out.push(required(`${path}.completions`, 'when completion mode is Indexed'));
  }
  if (parallelism > MAX_INDEXED_PARALLELISM) {
    const detail = `must be less than or equal to ${MAX_INDEXED_PARALLELISM} when completion mode is Indexed`;
    out.push(invalid(`${path}.parallelism`, parallelism, detail));
  }
  return out;
}

function validatePerIndex(spec: JobSpec, path: string): FieldError[] {
  const out: FieldError[] = [];
  const { backoffLimitPerIndex, maxFailedIndexes, completionMode, completions = 0 } = spec;
  if (backoffLimitPerIndex !== undefined && completionMode !== 'Indexed') {
    const detail = 'requires indexed completion mode';
    out.push(invalid(`${path}.backoffLimitPerIndex`, backoffLimitPerIndex, detail));
  }
  if (maxFailedIndexes === undefined) return out;
  const field = `${path}.maxFailedIndexes`;
  if (backoffLimitPerIndex === undefined) {
    out.push(required(`${path}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'));
  }
  if (maxFailedIndexes > completions) {
    out.push(invalid(field, maxFailedIndexes, 'must be less than or equal to completions'));
  }
  return out;
}

const ACTIONS = ['Count', 'FailIndex', 'FailJob', 'Ignore'];
const MAX_RULES = 20;

function validateFailurePolicy({ podFailurePolicy, backoffLimitPerIndex }: JobSpec, path: string) {
  const at = `${path}.podFailurePolicy.rules`;
  const rules = podFailurePolicy?.rules ?? [];
  const out: FieldError[] = [];
  if (rules.length > MAX_RULES) {
    const message = `Too many: ${rules.length}: must have at most ${MAX_RULES} items`;
    out.push({ type: 'FieldValueTooMany', field: at, message });
  }
  return [
    ...out,
    ...each(rules, at, (rule, where) => {
      const own = oneOf(rule.action, ACTIONS, `${where}.action`);
      if (rule.action === 'FailIndex' && backoffLimitPerIndex === undefined) {
        const detail = 'requires the backoffLimitPerIndex to be set';
        own.push(invalid(`${where}.action`, rule.action, detail));
      }
      const codes = rule.onExitCodes;
      if (codes && rule.onPodConditions?.length) {
        const detail = 'specifying both OnExitCodes and OnPodConditions is not supported';
        own.push(invalid(where, rule, detail));
      } else if (!codes && !rule.onPodConditions?.length) {
        const detail = 'specifying one of OnExitCodes and OnPodConditions is required';
        own.push(invalid(where, rule, detail));
      }
      if (codes) own.push(...validateExitCodes(codes, `${where}.onExitCodes`));
      return own;
    }),
  ];
}

type ExitCodes = NonNullable<
  NonNullable<JobSpec['podFailurePolicy']>['rules'][number]['onExitCodes']
>;

function validateExitCodes({ operator, values }: ExitCodes, at: string): FieldError[] {
  const out = oneOf(operator, ['In', 'NotIn'], `${at}.operator`);
  if (values.length === 0)
    out.push(invalid(`${at}.values`, values, 'at least one value is required'));
  if (operator === 'In' && values.includes(0)) {
    const index = values.indexOf(0);
    out.push(invalid(`${at}.values[${index}]`, 0, 'must not be 0 for the In operator'));
  }
  return out;
}

const SUSPENDED_MUTABLE = ['nodeSelector', 'tolerations', 'affinity', 'schedulingGates'] as const;

export function validateJobUpdate(job: Job, old: Job): FieldError[] {
  const [spec, was] = [job.spec, old.spec];
  if (!spec || !was) return [required('spec')];
  const out = validateJobSpec(spec, 'spec');
  const indexed = spec.completionMode === 'Indexed';
  if (!(indexed && spec.completions === spec.parallelism)) {
    out.push(...immutable(spec.completions, was.completions, 'spec.completions'));
  }
  for (const part of [
    'selector',
    'completionMode',
    'podFailurePolicy',
    'backoffLimitPerIndex',
    'managedBy',
    'successPolicy',
  ] as const) {
    out.push(...immutable(spec[part], was[part], `spec.${part}`));
  }
  const template = cloneJson(spec.template);
  // A Job that has not started may still be told where to run.
  if (was.suspend && !old.status?.startTime && template.spec && was.template.spec) {
    for (const part of SUSPENDED_MUTABLE) {
      Object.assign(template.spec, { [part]: was.template.spec[part] });
    }
    template.metadata = was.template.metadata;
  }
  if (!jsonEqual(template, was.template)) {
    out.push(invalid('spec.template', spec.template, 'field is immutable'));
  }
  return out;
}

export function validateCronJob({ metadata, spec }: CronJob): FieldError[] {
  const out = validateCronJobSpec(spec);
  if ((metadata.name ?? '').length > MAX_CRON_NAME) {
    const detail = `must be no more than ${MAX_CRON_NAME} characters`;
    out.push(invalid('metadata.name', metadata.name, detail));
  }
  return out;
}

export function validateCronJobSpec(spec: CronJob['spec']): FieldError[] {
  if (!spec) return [required('spec')];
  const out: FieldError[] = [];
  if (!spec.schedule) out.push(required('spec.schedule'));
  else out.push(...validateSchedule(spec.schedule));
  out.push(...validateTimeZone(spec.timeZone));
  for (const part of [
    'startingDeadlineSeconds',
    'successfulJobsHistoryLimit',
    'failedJobsHistoryLimit',
  ] as const) {
    out.push(...notNegative(spec[part], `spec.${part}`));
  }
  const policies = ['Allow', 'Forbid', 'Replace'];
  out.push(...oneOf(spec.concurrencyPolicy, policies, 'spec.concurrencyPolicy'));
  const job = spec.jobTemplate.spec;
  const at = 'spec.jobTemplate.spec';
  if (!job) return [...out, required(at)];
  if (job.manualSelector) {
    out.push({
      type: 'FieldValueNotSupported',
      field: `${at}.manualSelector`,
      message: 'Unsupported value: true: supported values: "nil", "false"',
    });
  }
  if (job.selector) out.push(forbidden(`${at}.selector`, '`selector` will be auto-generated'));
  return [...out, ...validateJobSpec(job, at)];
}

const DESCRIPTORS = new Set([
  '@yearly',
  '@annually',
  '@monthly',
  '@weekly',
  '@daily',
  '@midnight',
  '@hourly',
]);

/** The bounds of a cron schedule's five fields, and the names that two of them know. */
const CRON_FIELDS: readonly { min: number; max: number; names?: string }[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12, names: 'jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec' },
  { min: 0, max: 6, names: 'sun|mon|tue|wed|thu|fri|sat' },
];

function validateSchedule(schedule: string): FieldError[] {
  const field = 'spec.schedule';
  if (/^(CRON_)?TZ=/.test(schedule)) {
    const detail = 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead';
    return [invalid(field, schedule, detail)];
  }
  if (DESCRIPTORS.has(schedule) || /^@every (\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(schedule))
    return [];
  const parts = schedule.trim().split(/\s+/);
  if (parts.length !== CRON_FIELDS.length) {
    const detail = `expected exactly 5 fields, found ${parts.length}: [${parts.join(' ')}]`;
    return [invalid(field, schedule, detail)];
  }
  const bad = parts.find((part, index) => !cronFieldFits(part, index));
  return bad === undefined ? [] : [invalid(field, schedule, `failed to parse ${bad}`)];
}

function cronFieldFits(text: string, index: number): boolean {
  const bounds = CRON_FIELDS[index] ?? { min: 0, max: 0 };
  const unit = bounds.names ? `(?:\\d{1,2}|${bounds.names})` : '\\d{1,2}';
  const term = new RegExp(`^(?:[*?]|(${unit})(?:-(${unit}))?)(?:/([1-9]\\d*))?$`, 'i');
  return text.split(',').every((part) => {
    const found = term.exec(part);
    if (!found) return false;
    const numbers = [found[1], found[2]]
      .filter((n) => n !== undefined && /^\d+$/.test(n))
      .map(Number);
    const ordered = numbers.length < 2 || (numbers[0] ?? 0) <= (numbers[1] ?? 0);
    return ordered && numbers.every((n) => n >= bounds.min && n <= bounds.max);
  });
}

function validateTimeZone(timeZone: string | undefined): FieldError[] {
  const field = 'spec.timeZone';
  if (timeZone === undefined) return [];
  if (timeZone === '')
    return [invalid(field, timeZone, 'timeZone must be nil or non-empty string')];
  if (timeZone.toLowerCase() === 'local') {
    return [
      invalid(
        field,
        timeZone,
        'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones',
      ),
    ];
  }
  try {
    new Intl.DateTimeFormat('en', { timeZone });
    return [];
  } catch {
    return [invalid(field, timeZone, `unknown time zone ${timeZone}`)];
  }
}
