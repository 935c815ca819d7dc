import type { Job, Pod } from '../../api/types.ts';
import { waitToReplace } from './backoff.ts';
import { type IndexFailures, indexOf, isIndexed } from './job-pods.ts';
import type { Tally } from './outcome.ts';
import { failuresWith } from './per-index.ts';

const BURST = 500;
const NO_FAILURES: IndexFailures = { counted: 0, ignored: 0 };

/** The Pods that a running Job lacks or has too many of. An entry of `create` is an index, or undefined without indexes. */
export interface Demand {
  readonly create: ({ value: number; failures: IndexFailures } | undefined)[];
  readonly delete: Pod[];
  /** Milliseconds until an index that has failed may be tried again. */
  readonly waitMs?: number | undefined;
}

interface PodsOfJob {
  readonly active: readonly Pod[];
  readonly terminating: readonly Pod[];
  /** The last failed Pod of each index that has no other one yet. */
  readonly toReplace: ReadonlyMap<number, Pod>;
  readonly tally: Tally;
  readonly now: number;
}

/** Pure. */
export function demandOf(job: Job, world: PodsOfJob): Demand {
  const { active, tally } = world;
  if (job.spec?.suspend) return { create: [], delete: [...active] };
  const { completions, parallelism = 1 } = job.spec ?? {};
  const wanted =
    completions === undefined
      ? tally.succeeded > 0
        ? Math.min(active.length, parallelism)
        : parallelism
      : Math.min(parallelism, Math.max(0, completions - tally.succeeded));
  if (active.length > wanted)
    return { create: [], delete: surplus(job, active, active.length - wanted) };
  const missing = Math.min(BURST, wanted - active.length - stillThere(job, world).length);
  if (missing <= 0) return { create: [], delete: [] };
  if (!isIndexed(job)) {
    return { create: Array.from({ length: missing }, () => undefined), delete: [] };
  }
  return { ...nextIndexes(job, world, missing), delete: redundant(job, active) };
}

/** Pods that are going keep their place, and their index, where a Job wants to see their end first (KEP-3939). */
function stillThere(job: Job, { terminating }: PodsOfJob): readonly Pod[] {
  return job.spec?.podReplacementPolicy === 'Failed' ? terminating : [];
}

/** Where each index has a limit of its own, it also waits by itself after a failure, and keeps its place meanwhile. */
function nextIndexes(job: Job, world: PodsOfJob, count: number): Pick<Demand, 'create' | 'waitMs'> {
  const create: { value: number; failures: IndexFailures }[] = [];
  const waits: number[] = [];
  for (const value of pendingIndexes(job, world, count)) {
    const failed = world.toReplace.get(value);
    const wait = failed ? waitToReplace(failed, world.now) : 0;
    if (wait > 0) waits.push(wait);
    else create.push({ value, failures: failed ? failuresWith(job, failed) : NO_FAILURES });
  }
  return { create, waitMs: waits.length > 0 ? Math.min(...waits) : undefined };
}

/** The first indexes that have neither an end nor a Pod. */
function pendingIndexes(job: Job, world: PodsOfJob, count: number): number[] {
  const { completedIndexes, failedIndexes } = world.tally;
  const busy = new Set([...world.active, ...stillThere(job, world)].map(indexOf));
  const pending: number[] = [];
  for (let i = 0; i < (job.spec?.completions ?? 0) && pending.length < count; i++) {
    if (!busy.has(i) && !completedIndexes.has(i) && !failedIndexes.has(i)) pending.push(i);
  }
  return pending;
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
