import { isPodTerminal, podCondition } from '../../api/pods.ts';
import { type ObjectKey, PODS } from '../../api/resource-types.ts';
import { timeString } from '../../api/times.ts';
import type { Pod } from '../../api/types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { keyOf } from '../../client/indexer.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { unlessGone } from '../unless-gone.ts';

const TYPE = 'DisruptionTarget';
/** A kubelet may need any time to end what it has announced. */
const BY_KUBELET = 'TerminationByKubelet';
const STALE_MS = 120_000;

/** Takes back what was announced and did not happen: a Pod that nobody has deleted two minutes after it was to go. Keys are Pods. */
export function staleDisruptions(context: ControllerContext): Runnable {
  const { client, clock, informers } = context;
  const pods = informers.get(PODS);
  const reconciler: Reconciler = {
    name: 'disruption-controller-stale-pods',
    async reconcile(key: ObjectKey) {
      const pod = pods.get(key);
      const waitMs = pod && msToStale(pod, clock.now());
      if (!pod || waitMs === undefined) return DONE;
      if (waitMs > 0) return { requeueAfterMs: waitMs };
      const { uid, resourceVersion } = pod.metadata;
      const over = { type: TYPE, status: 'False', lastTransitionTime: timeString(clock.now()) };
      const body = { metadata: { uid, resourceVersion }, status: { conditions: [over] } };
      const patch = { type: 'strategic', body } as const;
      await unlessGone(client.patch(PODS, key, patch, { subresource: 'status' }));
      return DONE;
    },
  };
  const controller = newController(context, reconciler);
  controller.watch(pods, (pod) => (msToStale(pod, clock.now()) === undefined ? [] : [keyOf(pod)]));
  return controller;
}

/** Milliseconds until an announced disruption counts as not happening; undefined: there is none, or it happens. Pure. */
export function msToStale(pod: Pod, now: number): number | undefined {
  if (pod.metadata.deletionTimestamp !== undefined || isPodTerminal(pod)) return undefined;
  const announced = podCondition(pod, TYPE);
  if (announced?.status !== 'True' || announced.reason === BY_KUBELET) return undefined;
  return Math.max(0, Date.parse(announced.lastTransitionTime ?? '') + STALE_MS - now || 0);
}
