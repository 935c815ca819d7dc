import { type ObjectKey, PODS } from '../../api/resource-types.ts';
import { RESOURCE_CLAIMS, RESOURCE_SLICES } from '../../api/system-resource-types.ts';
import type { Pod, ResourceClaim, ResourceSlice } from '../../api/types.ts';
import type { EventRecorder, Informer } from '../../client/client.ts';
import { DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { keyOf } from '../../client/indexer.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { claimNames } from '../pod-claims.ts';
import { disrupt } from '../pod-eviction.ts';
import { evictionTime, isReservedFor, taintsOf } from './eviction-time.ts';

const NAME = 'device-taint-eviction-controller';
const POOL = 'pool';

interface Deps extends Pick<ControllerContext, 'client' | 'clock'> {
  readonly pods: Informer<Pod>;
  readonly claims: Informer<ResourceClaim>;
  readonly slices: Informer<ResourceSlice>;
  readonly events: EventRecorder;
}

/** Pods leave devices whose NoExecute taints their claims do not tolerate, or only for a time. Keys are Pods. */
export function deviceTaintEvictionController(context: ControllerContext): Runnable {
  const { client, clock, informers } = context;
  const pods = informers.get(PODS);
  const claims = informers.get(RESOURCE_CLAIMS);
  const slices = informers.get(RESOURCE_SLICES);
  claims.addIndex(POOL, poolsOf);
  slices.addIndex(POOL, ({ spec }) => [poolId(spec.driver, spec.pool.name)]);
  const deps = { client, clock, pods, claims, slices, events: context.events(NAME) };
  const reconciler = new DeviceTaintEviction(deps);
  const controller = newController(context, reconciler);
  const usersOf = (claim: ResourceClaim) =>
    (claim.status?.reservedFor ?? [])
      .filter(({ apiGroup, resource }) => !apiGroup && resource === 'pods')
      .map(({ name }) => `${claim.metadata.namespace}/${name}`);
  controller.watch(claims, usersOf);
  controller.watch(slices, ({ spec }) =>
    claims.byIndex(POOL, poolId(spec.driver, spec.pool.name)).flatMap(usersOf),
  );
  controller.watch(pods, (pod) => (claimNames(pod).some(Boolean) ? [keyOf(pod)] : []));
  return controller;
}

class DeviceTaintEviction implements Reconciler {
  readonly name = NAME;
  readonly #deps: Deps;
  /** Pods that have to go, and whether they were told to. */
  readonly #doomed = new Map<string, { readonly uid: string; readonly told: boolean }>();

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  async reconcile(key: ObjectKey): Promise<Result> {
    const { client, clock, pods, events } = this.#deps;
    const pod = pods.get(key);
    const id = `${key.namespace}/${key.name}`;
    if (!pod || pod.metadata.deletionTimestamp) {
      this.#doomed.delete(id);
      return DONE;
    }
    const { uid } = pod.metadata;
    const known = this.#doomed.get(id);
    if (known?.uid === uid && known.told) return DONE;
    const at = this.#evictionTime(pod);
    if (at === undefined) {
      this.#doomed.delete(id);
      if (known?.uid === uid)
        events.event(pod, 'Normal', 'DeviceTaintManagerEviction', 'Cancelling deletion');
      return DONE;
    }
    const now = clock.now();
    this.#doomed.set(id, { uid, told: false });
    if (at > now) return { requeueAfterMs: at - now };
    events.event(pod, 'Normal', 'DeviceTaintManagerEviction', 'Marking for deletion');
    const message = 'Device Taint manager: deleting due to NoExecute taint';
    await disrupt(client, pod, { reason: 'DeletionByDeviceTaintManager', message, now });
    this.#doomed.set(id, { uid, told: true });
    return DONE;
  }

  #evictionTime(pod: Pod): number | undefined {
    const { claims, slices } = this.#deps;
    if (!pod.spec?.nodeName) return undefined;
    const times = claimNames(pod)
      .map((name = '') => claims.get({ namespace: pod.metadata.namespace, name }))
      .filter((claim) => claim !== undefined && isReservedFor(claim, pod))
      .flatMap((claim) => claim?.status?.allocation?.devices?.results ?? [])
      .map((result) => {
        const pool = slices.byIndex(POOL, poolId(result.driver, result.pool));
        return evictionTime(result, taintsOf(result, pool));
      })
      .filter((time) => time !== undefined);
    return times.length === 0 ? undefined : Math.min(...times);
  }
}

function poolsOf({ status }: ResourceClaim): string[] {
  const results = status?.allocation?.devices?.results ?? [];
  return [...new Set(results.map(({ driver, pool }) => poolId(driver, pool)))];
}

function poolId(driver: string, pool: string): string {
  return `${driver}/${pool}`;
}
