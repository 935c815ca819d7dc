import { isNotFound } from '../../api/errors.ts';
import { PODS } from '../../api/resource-types.ts';
import type { Job, Pod } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import { judgeFailure } from './failure-policy.ts';
import { formatIndexes, parseIndexes } from './indexes.ts';
import {
  earlierFailures,
  indexOf,
  isFailed,
  isIndexed,
  isSucceeded,
  isTracked,
  TRACKING,
} from './job-pods.ts';

type Status = NonNullable<Job['status']>;

/** Pods that have ended and are counted by the next status. */
export interface Ended {
  readonly succeeded: Pod[];
  readonly failed: Pod[];
  /** Ended, but not to be counted: a podFailurePolicy says so. */
  readonly ignored: Pod[];
  readonly failJob: string | undefined;
  readonly completedIndexes: Set<number>;
  readonly failedIndexes: Set<number>;
}

/** Sorts out the Pods that ended since the last look. `counted` are those whose finalizer is known to be gone. Pure. */
export function newlyEnded(job: Job, pods: readonly Pod[], counted: ReadonlySet<string>): Ended {
  const completions = job.spec?.completions ?? 0;
  const known = new Set([
    ...(job.status?.uncountedTerminatedPods?.succeeded ?? []),
    ...(job.status?.uncountedTerminatedPods?.failed ?? []),
  ]);
  const ended = {
    succeeded: [] as Pod[],
    failed: [] as Pod[],
    ignored: [] as Pod[],
    failJob: undefined as string | undefined,
    completedIndexes: parseIndexes(job.status?.completedIndexes, completions),
    failedIndexes: parseIndexes(job.status?.failedIndexes, completions),
  };
  for (const pod of pods) {
    if (!isTracked(pod) || counted.has(pod.metadata.uid) || known.has(pod.metadata.uid)) continue;
    if (isSucceeded(pod)) noteSuccess(job, pod, ended);
    else if (isFailed(job, pod)) noteFailure(job, pod, ended);
  }
  return ended;
}

type Mutable = { -readonly [K in keyof Ended]: Ended[K] };

function noteSuccess(job: Job, pod: Pod, ended: Mutable): void {
  const index = indexOf(pod);
  if (isIndexed(job)) {
    const valid = index !== undefined && index < (job.spec?.completions ?? 0);
    if (!valid || ended.completedIndexes.has(index)) {
      ended.ignored.push(pod);
      return;
    }
    ended.completedIndexes.add(index);
    ended.failedIndexes.delete(index);
  }
  ended.succeeded.push(pod);
}

function noteFailure(job: Job, pod: Pod, ended: Mutable): void {
  const verdict = judgeFailure(job, pod);
  if (verdict.action === 'Ignore') {
    ended.ignored.push(pod);
    return;
  }
  if (verdict.action === 'FailJob') ended.failJob ??= verdict.message;
  const index = indexOf(pod);
  const { backoffLimitPerIndex } = job.spec ?? {};
  if (index !== undefined && backoffLimitPerIndex !== undefined) {
    const exhausted = earlierFailures(pod).counted >= backoffLimitPerIndex;
    if ((exhausted || verdict.action === 'FailIndex') && !ended.completedIndexes.has(index)) {
      ended.failedIndexes.add(index);
    }
  }
  ended.failed.push(pod);
}

/** Those of them that may be counted and let go; the others keep what they know. Pure. */
export function without(ended: Ended, held: ReadonlySet<Pod>): Ended {
  const free = (pods: readonly Pod[]) => pods.filter((pod) => !held.has(pod));
  return { ...ended, failed: free(ended.failed), ignored: free(ended.ignored) };
}

/** The first write: who has ended, so that nobody is forgotten when their finalizers go. Pure. */
export function uncountedStatus(job: Job, ended: Ended): Status {
  const before = job.status?.uncountedTerminatedPods ?? {};
  const uids = (pods: readonly Pod[]) => pods.map((pod) => pod.metadata.uid);
  // Indexes count by themselves: a success is not counted twice however often it is seen.
  const succeeded = [...(before.succeeded ?? []), ...(isIndexed(job) ? [] : uids(ended.succeeded))];
  const failed = [...(before.failed ?? []), ...uids(ended.failed)];
  return {
    ...job.status,
    ...indexFields(job, ended),
    uncountedTerminatedPods: {
      ...(succeeded.length > 0 ? { succeeded } : {}),
      ...(failed.length > 0 ? { failed } : {}),
    },
  };
}

/** The second write: those without a finalizer become numbers. Pure. */
export function countedStatus(job: Job, status: Status, stillTracked: ReadonlySet<string>): Status {
  const { succeeded = [], failed = [] } = status.uncountedTerminatedPods ?? {};
  const left = (uids: readonly string[]) => uids.filter((uid) => stillTracked.has(uid));
  const [waitingSucceeded, waitingFailed] = [left(succeeded), left(failed)];
  const completions = job.spec?.completions ?? 0;
  return {
    ...status,
    succeeded: isIndexed(job)
      ? parseIndexes(status.completedIndexes, completions).size
      : (status.succeeded ?? 0) + succeeded.length - waitingSucceeded.length,
    failed: (status.failed ?? 0) + failed.length - waitingFailed.length,
    uncountedTerminatedPods: {
      ...(waitingSucceeded.length > 0 ? { succeeded: waitingSucceeded } : {}),
      ...(waitingFailed.length > 0 ? { failed: waitingFailed } : {}),
    },
  };
}

function indexFields(job: Job, { completedIndexes, failedIndexes }: Ended): Partial<Status> {
  if (!isIndexed(job)) return {};
  const perIndex = job.spec?.backoffLimitPerIndex !== undefined;
  return {
    completedIndexes: formatIndexes(completedIndexes),
    ...(perIndex ? { failedIndexes: formatIndexes(failedIndexes) } : {}),
  };
}

/** Lets a counted Pod go. */
export async function removeTracking(client: Client, pod: Pod): Promise<void> {
  const { namespace, name, uid, resourceVersion } = pod.metadata;
  const finalizers = (pod.metadata.finalizers ?? []).filter((name) => name !== TRACKING);
  const key = { namespace, name };
  // A merge patch replaces the list: the revision guards what others have put there.
  const body = { metadata: { uid, resourceVersion, finalizers } };
  try {
    await client.patch(PODS, key, { type: 'merge', body });
  } catch (err) {
    if (!isNotFound(err)) throw err;
  }
}
