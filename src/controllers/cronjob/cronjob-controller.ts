import { isAlreadyExists, isNotFound } from '../../api/errors.ts';
import { controllerOf } from '../../api/owner-references.ts';
import { CRON_JOBS, JOBS, type ObjectKey } from '../../api/resource-types.ts';
import { timeString } from '../../api/times.ts';
import type { CronJob, Draft, Job } from '../../api/types.ts';
import type { EventRecorder, Informer } from '../../client/client.ts';
import { DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { errorMessage } from '../../util/errors.ts';
import { inexact } from '../../util/exact-json.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { controllerReference } from '../controller-reference.ts';
import { StatusWriter } from '../status-writer.ts';
import { unlessGone } from '../unless-gone.ts';
import { withoutZeros } from '../without-zeros.ts';
import { missedRuns, parseSchedule, type Schedule } from './schedule.ts';

const NAME = 'cronjob-controller';
const SCHEDULED_AT = 'batch.kubernetes.io/cronjob-scheduled-timestamp';

type Status = NonNullable<CronJob['status']>;
type Reference = NonNullable<Status['active']>[number];

interface Deps extends Pick<ControllerContext, 'client' | 'clock'> {
  /** What was started last is known at once: else it would be started, or replaced, again. */
  readonly cronJobs: StatusWriter<CronJob>;
  readonly jobs: Informer<Job>;
  readonly events: EventRecorder;
}

export function cronJobController(context: ControllerContext): Runnable {
  const { client, clock, informers } = context;
  const cronJobs = informers.get(CRON_JOBS);
  const jobs = informers.get(JOBS);
  jobs.addIndex('controller', (job) => [controllerOf(job)?.uid ?? '']);
  const written = new StatusWriter(client, cronJobs);
  const deps = { client, clock, cronJobs: written, jobs, events: context.events(NAME) };
  const controller = newController(context, new CronJobReconciler(deps));
  controller.watch(cronJobs);
  controller.watch(jobs, (job) => {
    const owner = controllerOf(job);
    return owner?.kind === 'CronJob' ? [`${job.metadata.namespace}/${owner.name}`] : [];
  });
  return controller;
}

/** Makes Jobs at the times of a schedule. */
class CronJobReconciler implements Reconciler {
  readonly name = NAME;
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  async reconcile(key: ObjectKey): Promise<Result> {
    const { cronJobs, jobs, clock } = this.#deps;
    const cron = cronJobs.get(key);
    if (!cron?.spec || cron.metadata.deletionTimestamp) return DONE;
    const owned = jobs.byIndex('controller', cron.metadata.uid);
    const status: Status = { ...cron.status, active: await this.#active(cron, owned) };
    this.#noteFinished(cron, owned, status);
    await this.#forgetOld(cron, owned);
    let result: Result = DONE;
    try {
      result = await this.#run(cron, { owned, status, now: clock.now() });
    } finally {
      await cronJobs.write(cron, withoutZeros(status));
    }
    return result;
  }

  async #run(
    cron: CronJob,
    world: { owned: readonly Job[]; status: Status; now: number },
  ): Promise<Result> {
    if (cron.spec?.suspend) return DONE;
    const schedule = this.#schedule(cron);
    if (!schedule) return DONE;
    const { now, status } = world;
    const { latest, count } = missedRuns(schedule, startOf(cron, now), now);
    const next = schedule.next(now);
    const later: Result = next === undefined ? DONE : { requeueAfterMs: next - now + 100 };
    if (latest === undefined) return later;
    if (this.#isTooLate(cron, { latest, count, now })) return later;
    const active = status.active ?? [];
    const name = jobName(cron, latest);
    // Started by an earlier look whose status was lost: to replace it would be to start it twice.
    if (
      [...active, ...world.owned.map(({ metadata }) => metadata)].some((job) => job.name === name)
    ) {
      status.lastScheduleTime = timeString(latest);
      return later;
    }
    if (cron.spec?.concurrencyPolicy === 'Forbid' && active.length > 0) {
      const text =
        'Not starting job because prior execution is running and concurrency policy is Forbid';
      this.#deps.events.event(cron, 'Normal', 'JobAlreadyActive', text);
      return later;
    }
    if (cron.spec?.concurrencyPolicy === 'Replace') {
      for (const reference of active) await this.#delete(cron, reference);
      status.active = [];
    }
    const job = await this.#create(cron, latest);
    status.lastScheduleTime = timeString(latest);
    if (job) status.active = [...(status.active ?? []), referenceTo(job)];
    return later;
  }

  /** Whether the time is beyond its deadline; tells of that, and of many missed ones. */
  #isTooLate(
    cron: CronJob,
    { latest, count, now }: { latest: number; count: number; now: number },
  ): boolean {
    const { events } = this.#deps;
    if (count > 100) {
      const text =
        'too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew';
      events.event(cron, 'Warning', 'TooManyMissedTimes', text);
    }
    const deadline = cron.spec?.startingDeadlineSeconds;
    if (deadline === undefined || latest + inexact(deadline) * 1000 >= now) return false;
    const text = `Missed scheduled time to start a job: ${new Date(latest).toUTCString()}`;
    events.event(cron, 'Warning', 'MissSchedule', text);
    return true;
  }

  #schedule(cron: CronJob): Schedule | undefined {
    const { schedule = '', timeZone } = cron.spec ?? {};
    try {
      return parseSchedule(schedule, timeZone);
    } catch (err) {
      const isZone = err instanceof RangeError;
      const reason = isZone ? 'UnknownTimeZone' : 'UnparseableSchedule';
      const text = isZone
        ? `invalid timeZone: ${JSON.stringify(timeZone)}: ${errorMessage(err)}`
        : `unparseable schedule: ${JSON.stringify(schedule)} : ${errorMessage(err)}`;
      this.#deps.events.event(cron, 'Warning', reason, text);
      return undefined;
    }
  }

  async #create(cron: CronJob, at: number): Promise<Job | undefined> {
    const { client, events } = this.#deps;
    const draft = jobFor(cron, at);
    try {
      const job = await client.create(JOBS, draft);
      events.event(cron, 'Normal', 'SuccessfulCreate', `Created job ${job.metadata.name}`);
      return job;
    } catch (err) {
      // The name tells the minute: another look was quicker.
      if (isAlreadyExists(err)) return undefined;
      events.event(cron, 'Warning', 'FailedCreate', `Error creating job: ${errorMessage(err)}`);
      throw err;
    }
  }

  async #delete(cron: CronJob, { name = '' }: Reference | { name: string }): Promise<void> {
    const { client, events } = this.#deps;
    const { namespace } = cron.metadata;
    try {
      await client.delete(JOBS, { namespace, name }, { propagationPolicy: 'Background' });
      events.event(cron, 'Normal', 'SuccessfulDelete', `Deleted job ${name}`);
    } catch (err) {
      if (isNotFound(err)) return;
      events.event(cron, 'Warning', 'FailedDelete', `Deleted job: ${errorMessage(err)}`);
      throw err;
    }
  }

  /** What is told as active: kept in order. A Job that the cache does not show may be a new one: the server is asked. */
  async #active(cron: CronJob, owned: readonly Job[]): Promise<Reference[]> {
    const active: Reference[] = [];
    for (const reference of cron.status?.active ?? []) {
      const job = owned.find(({ metadata }) => metadata.uid === reference.uid);
      if (job ? !endOf(job) : await this.#exists(cron, reference)) active.push(reference);
    }
    const known = new Set(active.map(({ uid }) => uid));
    const fresh = owned.filter((job) => !endOf(job) && !known.has(job.metadata.uid));
    return [...active, ...fresh.map(referenceTo)];
  }

  async #exists(cron: CronJob, { name = '', uid }: Reference): Promise<boolean> {
    const { client, events } = this.#deps;
    const found = await unlessGone(client.get(JOBS, { namespace: cron.metadata.namespace, name }));
    if (found?.metadata.uid === uid) return true;
    events.event(cron, 'Normal', 'MissingJob', `Active job went missing: ${name}`);
    return false;
  }

  /** Tells of Jobs that were active and have ended, and when the last success was. */
  #noteFinished(cron: CronJob, owned: readonly Job[], status: Status): void {
    const wasActive = new Set((cron.status?.active ?? []).map(({ uid }) => uid));
    for (const job of owned) {
      const end = endOf(job);
      if (!end) continue;
      if (wasActive.has(job.metadata.uid)) {
        const text = `Saw completed job: ${job.metadata.name}, condition: ${end}`;
        this.#deps.events.event(cron, 'Normal', 'SawCompletedJob', text);
      }
      const at = job.status?.completionTime;
      if (end === 'Complete' && at && at > (status.lastSuccessfulTime ?? '')) {
        status.lastSuccessfulTime = at;
      }
    }
  }

  async #forgetOld(cron: CronJob, owned: readonly Job[]): Promise<void> {
    const { successfulJobsHistoryLimit = 3, failedJobsHistoryLimit = 1 } = cron.spec ?? {};
    const limits = { Complete: successfulJobsHistoryLimit, Failed: failedJobsHistoryLimit };
    for (const [type, limit] of Object.entries(limits)) {
      const ended = owned
        .filter((job) => endOf(job) === type && !job.metadata.deletionTimestamp)
        .sort((a, b) => ((a.status?.startTime ?? '') < (b.status?.startTime ?? '') ? -1 : 1));
      for (const job of ended.slice(0, Math.max(0, ended.length - limit))) {
        await this.#delete(cron, { name: job.metadata.name });
      }
    }
  }
}

/** The Job of one time; its name tells the minute, so that it cannot be made twice. Pure. */
function jobFor(cron: CronJob, at: number): Draft<Job> {
  const { metadata = {}, spec } = structuredClone(cron.spec?.jobTemplate ?? {});
  const annotations = { ...metadata.annotations, [SCHEDULED_AT]: timeString(at) };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: jobName(cron, at),
      namespace: cron.metadata.namespace,
      annotations,
      ...(metadata.labels ? { labels: metadata.labels } : {}),
      ownerReferences: [controllerReference(cron)],
    },
    ...(spec ? { spec } : {}),
  };
}

function jobName({ metadata }: CronJob, at: number): string {
  return `${metadata.name}-${Math.floor(at / 60_000)}`;
}

/** From when runs may have been missed. */
function startOf(cron: CronJob, now: number): number {
  const since = cron.status?.lastScheduleTime ?? cron.metadata.creationTimestamp;
  const deadline = cron.spec?.startingDeadlineSeconds;
  const earliest = deadline === undefined ? 0 : now - inexact(deadline) * 1000;
  return Math.max(Date.parse(since), earliest);
}

function endOf({ status }: Job): 'Complete' | 'Failed' | undefined {
  for (const { type, status: value } of status?.conditions ?? []) {
    if (value === 'True' && (type === 'Complete' || type === 'Failed')) return type;
  }
  return undefined;
}

function referenceTo({ metadata }: Job): Reference {
  const { name, namespace, uid, resourceVersion } = metadata;
  return { apiVersion: 'batch/v1', kind: 'Job', name, namespace, uid, resourceVersion };
}
