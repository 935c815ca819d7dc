import type { Job, Pod } from '../../api/types.ts';
import { waitAfterFailures } from './backoff.ts';
import { earlierFailures, indexOf, isIndexed } from './job-pods.ts';
import type { Tally } from './outcome.ts';

const BURST = 500;

/** The Pods that a running Job lacks or has too many of. An entry of `create` is an index, or undefined without indexes. */
export interface Demand {
  readonly create: ({ value: number; failures: number } | undefined)[];
  readonly delete: Pod[];
  /** Milliseconds until an index that has failed may be tried again. */
  readonly waitMs?: number | undefined;
}

/** Pure. `failedPods` are those of the cache, for how often each index has failed, and when. */
export function demandOf(
  job: Job,
  world: {
    active: readonly Pod[];
    terminating: number;
    failedPods: readonly Pod[];
    tally: Tally;
    now: number;
  },
): Demand {
  const { active, tally } = world;
  if (job.spec?.suspend) return { create: [], delete: [...active] };
  const { completions, parallelism = 1, podReplacementPolicy } = job.spec ?? {};
  const wanted =
    completions === undefined
      ? tally.succeeded > 0
        ? Math.min(active.length, parallelism)
        : parallelism
      : Math.min(parallelism, Math.max(0, completions - tally.succeeded));
  if (active.length > wanted)
    return { create: [], delete: surplus(job, active, active.length - wanted) };
  const waiting = podReplacementPolicy === 'Failed' ? world.terminating : 0;
  const missing = Math.min(BURST, wanted - active.length - waiting);
  if (missing <= 0) return { create: [], delete: [] };
  if (!isIndexed(job)) {
    return { create: Array.from({ length: missing }, () => undefined), delete: [] };
  }
  return { ...nextIndexes(job, world, missing), delete: redundant(job, active) };
}

/** Where each index has a limit of its own, it also waits by itself after a failure. */
function nextIndexes(
  job: Job,
  world: { active: readonly Pod[]; failedPods: readonly Pod[]; tally: Tally; now: number },
  count: number,
): Pick<Demand, 'create' | 'waitMs'> {
  const { completedIndexes, failedIndexes } = world.tally;
  const independent = job.spec?.backoffLimitPerIndex !== undefined;
  const busy = new Set(world.active.map(indexOf));
  const failedBefore = Map.groupBy(world.failedPods, indexOf);
  const create: { value: number; failures: number }[] = [];
  let waitMs: number | undefined;
  for (let value = 0; value < (job.spec?.completions ?? 0) && create.length < count; value++) {
    if (busy.has(value) || completedIndexes.has(value) || failedIndexes.has(value)) continue;
    const before = failedBefore.get(value) ?? [];
    const failures = Math.max(0, ...before.map((pod) => earlierFailures(pod) + 1));
    const wait = independent ? waitAfterFailures(failures, before, world.now) : 0;
    if (wait > 0) waitMs = Math.min(wait, waitMs ?? wait);
    else create.push({ value, failures });
  }
  return { create, waitMs };
}

/** Indexes that are not wanted, or twice there, go first; then the Pods that have come least far. */
function surplus(job: Job, active: readonly Pod[], count: number): Pod[] {
  const gone = isIndexed(job) ? redundant(job, active) : [];
  const rank = (pod: Pod) =>
    Number(Boolean(pod.spec?.nodeName)) + Number(pod.status?.phase === 'Running');
  const left = active.filter((pod) => !gone.includes(pod)).toSorted((a, b) => rank(a) - rank(b));
  return [...gone, ...left.slice(0, Math.max(0, count - gone.length))];
}

/** Pods whose index another one has, or that is beyond the completions: an elastic Job has shrunk (KEP-3715). */
function redundant(job: Job, active: readonly Pod[]): Pod[] {
  const completions = job.spec?.completions ?? 0;
  const twice = new Set(duplicates(active));
  return active.filter((pod) => twice.has(pod) || (indexOf(pod) ?? completions) >= completions);
}

function duplicates(active: readonly Pod[]): Pod[] {
  const seen = new Set<number | undefined>();
  return active.filter((pod) => {
    const index = indexOf(pod);
    if (!seen.has(index)) {
      seen.add(index);
      return false;
    }
    return true;
  });
}
