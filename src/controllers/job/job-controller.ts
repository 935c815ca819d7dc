import { fromLabelSelector } from '../../api/labels.ts';
import { controllerOf } from '../../api/owner-references.ts';
import { isPodReady, isPodTerminal } from '../../api/pods.ts';
import { JOBS, keyString, type ObjectKey, PODS } from '../../api/resource-types.ts';
import { timeString } from '../../api/times.ts';
import type { Job, Pod } from '../../api/types.ts';
import type { EventRecorder, Informer } from '../../client/client.ts';
import { DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { keyOf } from '../../client/indexer.ts';
import { inexact } from '../../util/exact-json.ts';
import { claim } from '../claim.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { Expectations } from '../expectations.ts';
import {
  byKey,
  claimablePods,
  indexPodsByController,
  selectedBy,
  watchOwnedPods,
} from '../owned-pods.ts';
import { PodControl } from '../pod-control.ts';
import { slowStart } from '../slow-start.ts';
import { soonest } from '../soonest.ts';
import { StatusWriter } from '../status-writer.ts';
import { withoutZeros } from '../without-zeros.ts';
import { JobBackoff } from './backoff.ts';
import { type Demand, demandOf } from './demand.ts';
import { decorate, isFailed, isTerminating, isTracked } from './job-pods.ts';
import {
  decidedOutcome,
  isFinished,
  type Outcome,
  outcomeOf,
  type Tally,
  withCondition,
  withInterim,
} from './outcome.ts';
import { awaitingReplacement, hasIndependentIndexes } from './per-index.ts';
import {
  countedStatus,
  type Ended,
  newlyEnded,
  removeTracking,
  uncountedStatus,
  without,
} from './tracking.ts';

const NAME = 'job-controller';
const MANAGER = 'kubernetes.io/job-controller';

type Status = NonNullable<Job['status']>;

interface Deps extends Pick<ControllerContext, 'client' | 'clock'> {
  /** With what was written last: an end that was decided must not be forgotten. */
  readonly jobs: StatusWriter<Job>;
  readonly pods: Informer<Pod>;
  readonly podControl: PodControl;
  readonly expectations: Expectations;
  readonly events: EventRecorder;
}

export function jobController(context: ControllerContext): readonly Runnable[] {
  const { client, clock, informers } = context;
  const jobs = informers.get(JOBS);
  const pods = informers.get(PODS);
  indexPodsByController(pods);
  const expectations = new Expectations(clock);
  const events = context.events(NAME);
  const podControl = new PodControl({ client, events });
  const deps = { client, clock, pods, podControl, expectations, events };
  const reconciler = new JobReconciler({ ...deps, jobs: new StatusWriter(client, jobs) });
  const controller = newController(context, reconciler);
  controller.watch(jobs);
  controller.needs(pods);
  watchOwnedPods(pods, {
    kind: 'Job',
    owner: byKey(jobs),
    candidates: selectedBy(jobs),
    enqueue: (key) => controller.enqueue(key),
    created: (key) => expectations.creationObserved(key),
    deleted: (key, pod) => expectations.deletionObserved(key, pod.metadata.uid),
  });
  pods.addHandler({ onDelete: (pod) => reconciler.forgetPod(pod) });
  return [controller, orphanReleaser(context)];
}

/** Pods whose Job is gone must not be held by its finalizer. Keys are Pods. */
function orphanReleaser(context: ControllerContext): Runnable {
  const { client, informers } = context;
  const jobs = informers.get(JOBS);
  const pods = informers.get(PODS);
  const isOrphan = (pod: Pod) => {
    const owner = controllerOf(pod);
    if (!isTracked(pod) || (owner && owner.kind !== 'Job')) return false;
    const job = jobs.get({ namespace: pod.metadata.namespace, name: owner?.name ?? '' });
    return job === undefined || job.metadata.uid !== owner?.uid;
  };
  const reconciler: Reconciler = {
    name: `${NAME}-orphans`,
    async reconcile(key: ObjectKey) {
      const pod = pods.get(key);
      if (pod && isOrphan(pod)) await removeTracking(client, pod);
      return DONE;
    },
  };
  const controller = newController(context, reconciler);
  controller.watch(pods, (pod) => (isOrphan(pod) ? [keyOf(pod)] : []));
  controller.needs(jobs);
  jobs.addHandler({
    onDelete: (job) => {
      for (const pod of claimablePods(pods, job.metadata)) controller.enqueue(keyOf(pod));
    },
  });
  return controller;
}

/** Runs Pods to completion. */
class JobReconciler implements Reconciler {
  readonly name = NAME;
  readonly #deps: Deps;
  readonly #backoff = new JobBackoff();
  /** Pods whose finalizer this process has taken away, until the cache shows it. */
  readonly #released = new Set<string>();

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  forgetPod({ metadata }: Pod): void {
    this.#released.delete(metadata.uid);
  }

  async reconcile(key: ObjectKey): Promise<Result> {
    const { jobs, pods, client, expectations, clock } = this.#deps;
    const job = jobs.get(key);
    if (!job?.spec) {
      expectations.forget(keyString(key));
      this.#backoff.forget(keyString(key));
      return DONE;
    }
    if ((job.spec.managedBy ?? MANAGER) !== MANAGER) return DONE;
    const items = claimablePods(pods, job.metadata);
    const selector = fromLabelSelector(job.spec.selector);
    const owner = { type: JOBS, object: job, selector };
    const owned = await claim(client, owner, { type: PODS, items });
    if (isFinished(job)) return this.#releaseAll(owned);
    const now = clock.now();
    const ended = newlyEnded(job, owned, this.#released);
    if (!hasIndependentIndexes(job)) this.#backoff.note(keyString(key), ended);
    const tally = tallyOf(job, owned, ended);
    const outcome = decidedOutcome(job) ?? outcomeOf(job, tally, now);
    const toReplace = this.#toReplace(job, owned, tally);
    const managed = await this.#manage(job, { owned, tally, outcome, toReplace, now });
    const isOver = outcome !== undefined || job.metadata.deletionTimestamp !== undefined;
    const settled = isOver ? ended : without(ended, new Set(toReplace.values()));
    await this.#settle(job, { owned, ended: settled, outcome, now, created: managed.created });
    if (managed.failure !== undefined) throw managed.failure;
    return soonest(managed.waitMs, outcome ? undefined : msToDeadline(job, now));
  }

  #toReplace(job: Job, owned: readonly Pod[], tally: Tally): Map<number, Pod> {
    const { failed = [] } = job.status?.uncountedTerminatedPods ?? {};
    const held = owned.filter(
      (pod) =>
        isTracked(pod) &&
        !this.#released.has(pod.metadata.uid) &&
        !failed.includes(pod.metadata.uid),
    );
    const active = owned.filter((pod) => isActive(job, pod));
    const done = [tally.completedIndexes, tally.failedIndexes];
    return awaitingReplacement(job, held, { active, done });
  }

  /** Creates and deletes Pods, when the cache shows what was done before. */
  async #manage(
    job: Job,
    world: {
      owned: readonly Pod[];
      tally: Tally;
      outcome: Outcome | undefined;
      toReplace: ReadonlyMap<number, Pod>;
      now: number;
    },
  ): Promise<{ created: number; failure?: unknown; waitMs?: number }> {
    const { expectations } = this.#deps;
    const key = keyOf(job);
    if (job.metadata.deletionTimestamp || !expectations.satisfied(key)) return { created: 0 };
    const active = world.owned.filter((pod) => isActive(job, pod));
    const demand: Demand = world.outcome
      ? { create: [], delete: active }
      : demandOf(job, { ...world, active, terminating: world.owned.filter(isTerminating) });
    const waitMs = this.#waitMs(job, demand, world.now);
    const create = waitMs > 0 && !hasIndependentIndexes(job) ? [] : demand.create;
    if (create.length === 0 && demand.delete.length === 0) {
      return waitMs > 0 ? { created: 0, waitMs } : { created: 0 };
    }
    const uids = demand.delete.map((pod) => pod.metadata.uid);
    expectations.expect(key, create.length, uids);
    const made = await this.#create(job, create);
    const failure = made.failure ?? (await this.#delete(job, demand.delete));
    return { created: made.done, failure, ...(waitMs > 0 ? { waitMs } : {}) };
  }

  #waitMs(job: Job, demand: Demand, now: number): number {
    if (hasIndependentIndexes(job)) return demand.waitMs ?? 0;
    return demand.create.length > 0 ? this.#backoff.remaining(keyOf(job), now) : 0;
  }

  async #create(job: Job, create: Demand['create']): Promise<{ done: number; failure: unknown }> {
    const { podControl, expectations } = this.#deps;
    const template = job.spec?.template ?? {};
    const made = await slowStart(create.length, async (i) => {
      await podControl.create(job, template, (pod) => decorate(job, pod, create[i]));
    });
    expectations.creationObserved(keyOf(job), create.length - made.done);
    return made;
  }

  async #delete(job: Job, doomed: readonly Pod[]): Promise<unknown> {
    const { podControl, expectations } = this.#deps;
    const results = await Promise.allSettled(
      doomed.map(async (pod) => {
        let asked = false;
        try {
          asked = await podControl.delete(job, pod);
        } finally {
          if (!asked) expectations.deletionObserved(keyOf(job), pod.metadata.uid);
        }
      }),
    );
    return results.find((result) => result.status === 'rejected')?.reason;
  }

  /** Writes who has ended, lets those Pods go, then writes the numbers: no Pod is counted twice or never. */
  async #settle(
    job: Job,
    world: {
      owned: readonly Pod[];
      ended: Ended;
      outcome: Outcome | undefined;
      now: number;
      created: number;
    },
  ): Promise<void> {
    const { ended, outcome, now } = world;
    const uncounted = uncountedStatus(job, ended);
    // Decided now: without their finalizers the Pods that decided it may be gone at the next look.
    const conditions = outcome && withInterim(uncounted.conditions ?? [], outcome, now);
    const fresh = { ...uncounted, ...(conditions ? { conditions } : {}) };
    let current = job;
    const { succeeded = [], failed = [] } = fresh.uncountedTerminatedPods ?? {};
    if (ended.succeeded.length + ended.failed.length > 0) {
      current = await this.#deps.jobs.write(job, { ...fresh, ...this.#clocked(job, world) });
    }
    const uids = new Set([...succeeded, ...failed]);
    const toRelease = world.owned.filter(
      (pod) =>
        isTracked(pod) &&
        !this.#released.has(pod.metadata.uid) &&
        (uids.has(pod.metadata.uid) ||
          ended.succeeded.includes(pod) ||
          ended.ignored.includes(pod)),
    );
    await this.#release(toRelease);
    const counted = countedStatus(job, { ...current.status, ...fresh }, new Set());
    await this.#deps.jobs.write(current, this.#finalStatus(current, counted, world));
  }

  async #release(pods: readonly Pod[]): Promise<void> {
    await Promise.all(
      pods.map(async (pod) => {
        await removeTracking(this.#deps.client, pod);
        // The end of the Pod may have been seen before this answer: it would be remembered for ever.
        const known = this.#deps.pods.get(pod.metadata);
        if (known?.metadata.uid === pod.metadata.uid) this.#released.add(pod.metadata.uid);
      }),
    );
  }

  async #releaseAll(owned: readonly Pod[]): Promise<Result> {
    const held = owned.filter((pod) => isTracked(pod) && !this.#released.has(pod.metadata.uid));
    await this.#release(held.filter((pod) => isPodTerminal(pod) || isTerminating(pod)));
    return DONE;
  }

  /** startTime as it should be: set when the Job first runs, taken away while it is suspended. */
  #clocked(job: Job, { now }: { now: number }): Partial<Status> {
    if (job.spec?.suspend || job.status?.startTime) return {};
    return { startTime: timeString(now) };
  }

  #finalStatus(
    job: Job,
    counted: Status,
    world: { owned: readonly Pod[]; outcome: Outcome | undefined; now: number; created: number },
  ): Status {
    const { owned, outcome, now, created } = world;
    const active = owned.filter((pod) => isActive(job, pod));
    const terminating = owned.filter(isTerminating).length;
    const suspended = job.spec?.suspend === true;
    const stopping = outcome !== undefined || suspended;
    let conditions = this.#suspension(job, counted.conditions ?? [], now);
    let { startTime, completionTime } = { ...counted, ...this.#clocked(job, world) };
    if (suspended && !outcome) startTime = undefined;
    if (outcome) {
      conditions = withInterim(conditions, outcome, now);
      // Deleted Pods may still run: the end is told when they have stopped.
      if (terminating === 0 && active.length === 0) {
        conditions = withCondition(conditions, { ...outcome, status: 'True' }, now);
        if (outcome.type === 'Complete') completionTime = timeString(now);
        this.#tellEnd(job, outcome);
      }
    }
    const status: Status = {
      ...counted,
      conditions,
      startTime,
      completionTime,
      active: stopping ? 0 : active.length + created,
      ready: stopping ? 0 : active.filter(isPodReady).length,
      terminating: terminating + (stopping ? active.length : 0),
    };
    return withoutZeros(status, ['ready', 'terminating', 'uncountedTerminatedPods']);
  }

  #suspension(job: Job, known: NonNullable<Status['conditions']>, now: number) {
    const { events } = this.#deps;
    const told = known.find(({ type }) => type === 'Suspended')?.status;
    if (job.spec?.suspend) {
      if (told === 'True') return known;
      events.event(job, 'Normal', 'Suspended', 'Job suspended');
      const says = { reason: 'JobSuspended', message: 'Job suspended' };
      return withCondition(known, { type: 'Suspended', status: 'True', ...says }, now);
    }
    if (told !== 'True') return known;
    events.event(job, 'Normal', 'Resumed', 'Job resumed');
    const says = { reason: 'JobResumed', message: 'Job resumed' };
    return withCondition(known, { type: 'Suspended', status: 'False', ...says }, now);
  }

  #tellEnd(job: Job, { type, reason, message }: Outcome): void {
    const { events } = this.#deps;
    this.#backoff.forget(keyOf(job));
    if (type === 'Complete') events.event(job, 'Normal', 'Completed', 'Job completed');
    else events.event(job, 'Warning', reason, message);
  }
}

function isActive(job: Job, pod: Pod): boolean {
  return !isPodTerminal(pod) && pod.metadata.deletionTimestamp === undefined && !isFailed(job, pod);
}

function tallyOf(job: Job, owned: readonly Pod[], ended: Ended): Tally {
  const { status, spec } = job;
  const uncounted = status?.uncountedTerminatedPods ?? {};
  const active = owned.filter((pod) => isActive(job, pod));
  const inPlace = spec?.template.spec?.restartPolicy === 'OnFailure';
  const restarts = active.flatMap((pod) => {
    const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
    return [...containerStatuses, ...initContainerStatuses].map((s) => s.restartCount);
  });
  const indexed = spec?.completionMode === 'Indexed';
  return {
    active: active.length,
    succeeded: indexed
      ? ended.completedIndexes.size
      : (status?.succeeded ?? 0) + (uncounted.succeeded?.length ?? 0) + ended.succeeded.length,
    failed: (status?.failed ?? 0) + (uncounted.failed?.length ?? 0) + ended.failed.length,
    completedIndexes: ended.completedIndexes,
    failedIndexes: ended.failedIndexes,
    failJob: ended.failJob,
    restarts: inPlace ? restarts.reduce((sum, n) => sum + n, 0) : 0,
  };
}

function msToDeadline(job: Job, now: number): number | undefined {
  const { activeDeadlineSeconds, suspend } = job.spec ?? {};
  if (activeDeadlineSeconds === undefined || suspend) return undefined;
  const started = job.status?.startTime ? Date.parse(job.status.startTime) : now;
  return Math.max(0, started + inexact(activeDeadlineSeconds) * 1000 - now);
}
