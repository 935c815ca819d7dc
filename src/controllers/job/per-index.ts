import type { Job, Pod } from '../../api/types.ts';
import { judgeFailure } from './failure-policy.ts';
import { earlierFailures, endOf, type IndexFailures, indexOf, isFailed } from './job-pods.ts';

/** Each index has a limit and a back-off of its own: one that fails does not hold up the others (KEP-3850). */
export function hasIndependentIndexes({ spec }: Job): boolean {
  return spec?.backoffLimitPerIndex !== undefined;
}

/**
 * The last failed Pod of each index that has no other one yet. They alone know how often their index has failed, and when:
 * they keep their finalizer until there is another Pod that says so. `held` are Pods that still have it. Pure.
 */
export function awaitingReplacement(
  job: Job,
  held: readonly Pod[],
  world: { active: readonly Pod[]; done: readonly ReadonlySet<number>[] },
): Map<number, Pod> {
  const last = new Map<number, Pod>();
  if (!hasIndependentIndexes(job)) return last;
  const busy = new Set(world.active.map(indexOf));
  for (const pod of held) {
    const index = indexOf(pod);
    if (index === undefined || index >= (job.spec?.completions ?? 0)) continue;
    if (busy.has(index) || world.done.some((indexes) => indexes.has(index))) continue;
    const before = last.get(index);
    if (isFailed(job, pod) && (!before || isLater(pod, before))) last.set(index, pod);
  }
  return last;
}

/** What the Pod in the place of a failed one has to say. Pure. */
export function failuresWith(job: Job, failed: Pod): IndexFailures {
  const { counted, ignored } = earlierFailures(failed);
  const isIgnored = judgeFailure(job, failed).action === 'Ignore';
  return isIgnored ? { counted, ignored: ignored + 1 } : { counted: counted + 1, ignored };
}

function isLater(pod: Pod, other: Pod): boolean {
  const failures = (of: Pod) => {
    const { counted, ignored } = earlierFailures(of);
    return counted + ignored;
  };
  return failures(pod) >= failures(other) && endOf(pod) >= endOf(other);
}
