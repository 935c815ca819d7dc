import type { Job, Pod } from '../../api/types.ts';
import { earlierFailures, indexOf, isIndexed } from './job-pods.ts';
import type { Tally } from './outcome.ts';

const BURST = 500;

/** The Pods that a running Job lacks or has too many of. An entry of `create` is an index, or undefined without indexes. */
export interface Demand {
  readonly create: ({ value: number; failures: number } | undefined)[];
  readonly delete: Pod[];
}

/** Pure. `failedPods` are those of the cache, for how often each index has failed. */
export function demandOf(
  job: Job,
  world: {
    active: readonly Pod[];
    terminating: number;
    failedPods: readonly Pod[];
    tally: Tally;
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
    return { create: [], delete: surplus(active, active.length - wanted) };
  const waiting = podReplacementPolicy === 'Failed' ? world.terminating : 0;
  const missing = Math.min(BURST, wanted - active.length - waiting);
  if (missing <= 0) return { create: [], delete: [] };
  if (!isIndexed(job)) {
    return { create: Array.from({ length: missing }, () => undefined), delete: [] };
  }
  return { create: nextIndexes(job, world, missing), delete: duplicates(active) };
}

function nextIndexes(
  job: Job,
  world: { active: readonly Pod[]; failedPods: readonly Pod[]; tally: Tally },
  count: number,
): { value: number; failures: number }[] {
  const { completedIndexes, failedIndexes } = world.tally;
  const busy = new Set(world.active.map(indexOf));
  const found: { value: number; failures: number }[] = [];
  for (let value = 0; value < (job.spec?.completions ?? 0) && found.length < count; value++) {
    if (busy.has(value) || completedIndexes.has(value) || failedIndexes.has(value)) continue;
    const before = world.failedPods.filter((pod) => indexOf(pod) === value);
    found.push({ value, failures: Math.max(0, ...before.map((p) => earlierFailures(p) + 1)) });
  }
  return found;
}

/** Those that have come least far go first. */
function surplus(active: readonly Pod[], count: number): Pod[] {
  const rank = (pod: Pod) =>
    Number(Boolean(pod.spec?.nodeName)) + Number(pod.status?.phase === 'Running');
  return active.toSorted((a, b) => rank(a) - rank(b)).slice(0, count);
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
