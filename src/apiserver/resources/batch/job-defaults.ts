import { defaultPodTemplate } from '../../../api/pod-defaults.ts';
import type { Job } from '../../../api/types.ts';

export type JobSpec = NonNullable<Job['spec']>;

const FOREVER = 2_147_483_647;

/** What a Job and the template of a CronJob have in common (batch/v1 SetDefaults_Job). */
export function defaultJobSpec(spec: JobSpec | undefined): void {
  if (!spec) return;
  // Said neither how many nor how many at a time: one.
  if (spec.completions === undefined && spec.parallelism === undefined) {
    spec.completions = 1;
    spec.parallelism = 1;
  }
  spec.parallelism ??= 1;
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : FOREVER;
  spec.completionMode ??= 'NonIndexed';
  spec.suspend ??= false;
  spec.manualSelector ??= false;
  spec.podReplacementPolicy ??= spec.podFailurePolicy ? 'Failed' : 'TerminatingOrFailed';
  for (const rule of spec.podFailurePolicy?.rules ?? []) {
    for (const pattern of rule.onPodConditions ?? []) pattern.status ||= 'True';
  }
  defaultPodTemplate(spec.template);
}
