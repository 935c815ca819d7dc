import { describe, expect, it } from 'vitest';
import { fc } from '../../../test/support/properties.ts';
import { CRON_JOBS, JOBS } from '../../api/resource-types.ts';
import type { Job } from '../../api/types.ts';
import { drive, FakeClock } from '../../util/clock.fake.ts';
import { Stormy, weather } from '../model.fake.ts';
import { cronJobController } from './cronjob-controller.ts';

const key = { namespace: 'default', name: 'tick' };
const SCHEDULED_AT = 'batch.kubernetes.io/cronjob-scheduled-timestamp';
const MINUTE = 60_000;
/** Of the clock; some ten of them are a tenth of a second in real time. */
const STEP = 2_500;

const isOver = ({ status }: Job) =>
  status?.conditions?.some(({ type, status: value }) => type === 'Complete' && value === 'True');

/** Jobs end when they have run for `lastMs` of the clock's time. */
function runJobs(stormy: Stormy, clock: FakeClock, lastMs: number): () => Promise<void> {
  const seen = new Map<string, number>();
  const stop = new AbortController();
  const tick = async () => {
    for (const job of stormy.client.all(JOBS)) {
      const { uid, name, namespace } = job.metadata;
      const since = seen.get(uid) ?? clock.now();
      seen.set(uid, since);
      if (isOver(job) || clock.now() - since < lastMs) continue;
      const conditions = [{ type: 'Complete', status: 'True' }];
      const body = { status: { conditions, completionTime: new Date(clock.now()).toISOString() } };
      const patch = { type: 'merge', body } as const;
      const how = { subresource: 'status' };
      await stormy
        .do(() => stormy.client.patch(JOBS, { namespace, name }, patch, how))
        .catch(() => {});
    }
  };
  const running = (async () => {
    while (!stop.signal.aborted) {
      await tick();
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
  })();
  return async () => {
    stop.abort();
    await running;
  };
}

describe('in any weather', () => {
  it.each(['Allow', 'Forbid', 'Replace'])(
    'a CronJob with %s starts each time once, no more at once than it may, and forgets old Jobs',
    async (concurrencyPolicy) => {
      const restarts = fc.array(fc.integer({ min: 1, max: 150 }), { maxLength: 3 });
      const lasts = fc.constantFrom(0, 0.5 * MINUTE, 2.5 * MINUTE);
      await fc.assert(
        fc.asyncProperty(restarts, lasts, weather, async (pauses, lastMs, air) => {
          const clock = new FakeClock(Date.now());
          const stopTime = drive(clock, STEP);
          const stormy = new Stormy([cronJobController], air, clock);
          const created = clock.now();
          let most = 0;
          const times = new Map<string, string>();
          const creationTimestamp = new Date(created).toISOString();
          stormy.client.seed(CRON_JOBS, {
            metadata: { ...key, creationTimestamp },
            spec: { schedule: '* * * * *', concurrencyPolicy, jobTemplate: { spec: {} } },
          } as never);
          stormy.watchOver = () => {
            const jobs = stormy.client.all(JOBS);
            most = Math.max(most, jobs.filter((job) => !isOver(job)).length);
            for (const { metadata } of jobs) {
              times.set(metadata.uid, metadata.annotations?.[SCHEDULED_AT] ?? '');
            }
          };
          const endJobs = runJobs(stormy, clock, lastMs);
          stormy.start();
          try {
            for (const pause of pauses) {
              await new Promise((resolve) => setTimeout(resolve, pause));
              await stormy.restart();
            }
            await stormy.settle(async () => {
              const { status } = await stormy.client.get(CRON_JOBS, key);
              const last = Date.parse(status?.lastScheduleTime ?? '');
              expect(last).toBeGreaterThan(created + MINUTE);
              const late = clock.now() - last;
              if (concurrencyPolicy !== 'Forbid') expect(late).toBeLessThan(2 * MINUTE);
              else expect(late).toBeLessThan(2 * MINUTE + lastMs);
              const jobs = stormy.client.all(JOBS);
              expect(jobs.filter(isOver).length).toBeLessThanOrEqual(3);
              const active = jobs.filter((job) => !isOver(job)).map(({ metadata }) => metadata.uid);
              expect(status?.active?.map(({ uid }) => uid) ?? []).toEqual(active);
            });
            if (concurrencyPolicy !== 'Allow') expect(most).toBeLessThanOrEqual(1);
            expect(new Set(times.values()).size).toBe(times.size);
            for (const at of times.values()) expect(Date.parse(at) % MINUTE).toBe(0);
          } finally {
            await endJobs();
            await stormy.stop();
            await stopTime();
          }
        }),
        { numRuns: 8 },
      );
    },
  );
});
