import { timeString } from '../../api/times.ts';
import type { Job } from '../../api/types.ts';
import { inexact } from '../../util/exact-json.ts';
import { parseIndexes } from './indexes.ts';
import { isIndexed } from './job-pods.ts';

export type Condition = NonNullable<NonNullable<Job['status']>['conditions']>[number];

/** How a Job ends, and what its condition says. */
export interface Outcome {
  readonly type: 'Complete' | 'Failed';
  readonly reason: string;
  readonly message: string;
}

/** What has become of a Job's Pods so far. */
export interface Tally {
  readonly active: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly completedIndexes: ReadonlySet<number>;
  readonly failedIndexes: ReadonlySet<number>;
  /** The message of a FailJob rule that matched. */
  readonly failJob: string | undefined;
  /** Restarts of containers of Pods that restart them in place. */
  readonly restarts: number;
}

/** The end of a Job, if it has come. Pure. */
export function outcomeOf(job: Job, tally: Tally, now: number): Outcome | undefined {
  return failure(job, tally, now) ?? success(job, tally);
}

function failure(job: Job, tally: Tally, now: number): Outcome | undefined {
  const { backoffLimit = 6, activeDeadlineSeconds, suspend } = job.spec ?? {};
  const failed = (reason: string, message: string): Outcome => ({
    type: 'Failed',
    reason,
    message,
  });
  if (tally.failJob !== undefined) return failed('PodFailurePolicy', tally.failJob);
  if (tally.failed > backoffLimit || (tally.restarts > 0 && tally.restarts >= backoffLimit)) {
    return failed('BackoffLimitExceeded', 'Job has reached the specified backoff limit');
  }
  const started = job.status?.startTime;
  if (activeDeadlineSeconds !== undefined && started && !suspend) {
    if (now - Date.parse(started) >= inexact(activeDeadlineSeconds) * 1000) {
      return failed('DeadlineExceeded', 'Job was active longer than specified deadline');
    }
  }
  return failedByIndexes(job, tally, failed);
}

function failedByIndexes(
  job: Job,
  { completedIndexes, failedIndexes }: Tally,
  failed: (reason: string, message: string) => Outcome,
): Outcome | undefined {
  const { maxFailedIndexes, completions = 1, backoffLimitPerIndex } = job.spec ?? {};
  if (!isIndexed(job) || backoffLimitPerIndex === undefined) return undefined;
  if (maxFailedIndexes !== undefined && failedIndexes.size > maxFailedIndexes) {
    const text = 'Job has exceeded the specified maximal number of failed indexes';
    return failed('MaxFailedIndexesExceeded', text);
  }
  const all = failedIndexes.size > 0 && failedIndexes.size + completedIndexes.size >= completions;
  return all ? failed('FailedIndexes', 'Job has failed indexes') : undefined;
}

function success(job: Job, tally: Tally): Outcome | undefined {
  const { completions } = job.spec ?? {};
  const rule = matchedSuccessRule(job, tally);
  if (rule !== undefined) {
    const message = `Matched rules at index ${rule}`;
    return { type: 'Complete', reason: 'SuccessPolicy', message };
  }
  // Without completions, one success ends the Job when the others have ended.
  const done =
    completions === undefined
      ? tally.succeeded > 0 && tally.active === 0
      : tally.succeeded >= completions;
  if (!done) return undefined;
  const message = 'Reached expected number of succeeded pods';
  return { type: 'Complete', reason: 'CompletionsReached', message };
}

/** KEP-3998. */
function matchedSuccessRule(job: Job, { completedIndexes }: Tally): number | undefined {
  const { successPolicy, completions = 0 } = job.spec ?? {};
  if (!successPolicy || !isIndexed(job)) return undefined;
  const found = successPolicy.rules.findIndex(({ succeededIndexes, succeededCount }) => {
    const wanted =
      succeededIndexes === undefined ? undefined : parseIndexes(succeededIndexes, completions);
    const counted = [...completedIndexes].filter((i) => wanted?.has(i) ?? true).length;
    return counted >= (succeededCount ?? wanted?.size ?? completions);
  });
  return found < 0 ? undefined : found;
}

/** With the condition that says what the end will be while Pods still stop. */
export function withInterim(
  conditions: readonly Condition[],
  { type, reason, message }: Outcome,
  now: number,
): Condition[] {
  const interim = type === 'Failed' ? 'FailureTarget' : 'SuccessCriteriaMet';
  return withCondition(conditions, { type: interim, status: 'True', reason, message }, now);
}

export function isFinished(job: Job): boolean {
  return (job.status?.conditions ?? []).some(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
}

/** An end that was decided by an earlier look. */
export function decidedOutcome(job: Job): Outcome | undefined {
  for (const { type, status, reason = '', message = '' } of job.status?.conditions ?? []) {
    if (status !== 'True') continue;
    if (type === 'FailureTarget') return { type: 'Failed', reason, message };
    if (type === 'SuccessCriteriaMet') return { type: 'Complete', reason, message };
  }
  return undefined;
}

/** `conditions` with one more, unless it is there with that status. */
export function withCondition(
  conditions: readonly Condition[],
  wanted: { type: string; status: string; reason: string; message: string },
  now: number,
): Condition[] {
  const current = conditions.find(({ type }) => type === wanted.type);
  if (current?.status === wanted.status) return [...conditions];
  const at = timeString(now);
  const added = { ...wanted, lastProbeTime: at, lastTransitionTime: at };
  if (!current) return [...conditions, added];
  return conditions.map((condition) => (condition === current ? added : condition));
}
