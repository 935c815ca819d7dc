import { isConflict, isNotFound } from '../../api/errors.ts';
import { JOBS, type ObjectKey } from '../../api/resource-types.ts';
import type { Job } from '../../api/types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';

/** Deletes finished Jobs ttlSecondsAfterFinished after their end (KEP-592). */
export function ttlAfterFinishedController(context: ControllerContext): Runnable {
  const { client, clock, informers } = context;
  const jobs = informers.get(JOBS);
  const reconciler: Reconciler = {
    name: 'ttl-after-finished-controller',
    async reconcile(key: ObjectKey) {
      const job = jobs.get(key);
      const expiry = job && expiryOf(job);
      if (!job || expiry === undefined || job.metadata.deletionTimestamp) return DONE;
      const left = expiry - clock.now();
      if (left > 0) return { requeueAfterMs: left };
      const { uid, resourceVersion } = job.metadata;
      const preconditions = { uid, resourceVersion }; // a longer time to live may just have been set
      try {
        await client.delete(JOBS, key, { propagationPolicy: 'Foreground', preconditions });
      } catch (err) {
        if (isConflict(err)) return { requeueAfterMs: 1000 };
        if (!isNotFound(err)) throw err;
      }
      return DONE;
    },
  };
  const controller = newController(context, reconciler);
  controller.watch(jobs, (job) => {
    if (expiryOf(job) === undefined) return [];
    return [`${job.metadata.namespace}/${job.metadata.name}`];
  });
  return controller;
}

/** Milliseconds since the epoch; undefined for a Job that runs or stays for ever. Pure. */
export function expiryOf({ spec, status }: Job): number | undefined {
  const end = status?.conditions?.find(
    (c) => (c.type === 'Complete' || c.type === 'Failed') && c.status === 'True',
  );
  if (spec?.ttlSecondsAfterFinished === undefined || !end?.lastTransitionTime) return undefined;
  return Date.parse(end.lastTransitionTime) + spec.ttlSecondsAfterFinished * 1000;
}
