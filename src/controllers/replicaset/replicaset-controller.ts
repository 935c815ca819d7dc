import { matches, type Selector } from '../../api/labels.ts';
import { controllerOf } from '../../api/owner-references.ts';
import { isPodActive } from '../../api/pods.ts';
import { keyString, type ObjectKey, PODS, type ResourceType } from '../../api/resource-types.ts';
import type { Pod, ReplicaSet } from '../../api/types.ts';
import type { Informer } from '../../client/client.ts';
import { DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { keyOf } from '../../client/indexer.ts';
import { claim } from '../claim.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { Expectations } from '../expectations.ts';
import {
  byKey,
  claimablePods,
  indexPodsByController,
  podsOf,
  watchOwnedPods,
} from '../owned-pods.ts';
import { isNamespaceTerminating, PodControl } from '../pod-control.ts';
import { slowStart } from '../slow-start.ts';
import { StatusWriter } from '../status-writer.ts';
import { countByNode, podsToDelete } from './ranking.ts';
import { isTerminating, nextAvailabilityMs, replicaSetStatus } from './status.ts';

/** No sync creates or deletes more than this many Pods at once. */
const BURST = 500;

/** ReplicaSets and ReplicationControllers differ in how they select, and in name. */
export interface ReplicaKind {
  readonly controller: string;
  readonly type: ResourceType<ReplicaSet>;
  selectorOf(rs: ReplicaSet): Selector;
}

interface Deps extends Pick<ControllerContext, 'client' | 'clock'> {
  readonly sets: Informer<ReplicaSet>;
  readonly statuses: StatusWriter<ReplicaSet>;
  readonly pods: Informer<Pod>;
  readonly podControl: PodControl;
  readonly expectations: Expectations;
}

/** Wires the controller of one kind. */
export function replicaController(context: ControllerContext, kind: ReplicaKind): Runnable {
  const { client, clock, informers } = context;
  const sets = informers.get(kind.type);
  const pods = informers.get(PODS);
  const expectations = new Expectations(clock);
  const podControl = new PodControl({ client, events: context.events(kind.controller) });
  indexPodsByController(pods);
  sets.addIndex('controller', (rs) => [controllerOf(rs)?.uid ?? '']);
  const statuses = new StatusWriter(client, sets);
  const deps = { client, clock, sets, statuses, pods, podControl, expectations };
  const controller = newController(context, new ReplicaReconciler(kind, deps));
  sets.addHandler({ onDelete: (rs) => expectations.forget(keyOf(rs)) });
  controller.watch(sets);
  controller.needs(pods);
  watchOwnedPods(pods, {
    kind: kind.type.kind,
    owner: byKey(sets),
    candidates: (pod) =>
      sets
        .list(pod.metadata.namespace)
        .filter((rs) => matches(kind.selectorOf(rs), pod.metadata.labels))
        .map(keyOf),
    enqueue: (key) => controller.enqueue(key),
    created: (key) => expectations.creationObserved(key),
    deleted: (key, pod) => expectations.deletionObserved(key, pod.metadata.uid),
  });
  return controller;
}

/** Keeps as many live Pods as spec.replicas asks for. Reads the cache, never the event that woke it. */
class ReplicaReconciler implements Reconciler {
  readonly name: string;
  readonly #kind: ReplicaKind;
  readonly #deps: Deps;

  constructor(kind: ReplicaKind, deps: Deps) {
    this.name = kind.controller;
    this.#kind = kind;
    this.#deps = deps;
  }

  async reconcile(key: ObjectKey): Promise<Result> {
    const { statuses, pods, client, expectations, clock } = this.#deps;
    const rs = statuses.get(key);
    if (!rs) {
      expectations.forget(keyString(key)); // the garbage collector takes its Pods
      return DONE;
    }
    const mayScale = expectations.satisfied(keyString(key));
    const owner = { type: this.#kind.type, object: rs, selector: this.#kind.selectorOf(rs) };
    const claimable = claimablePods(pods, rs.metadata);
    const owned = await claim(client, owner, { type: PODS, items: claimable });
    const active = owned.filter(isPodActive);
    const deleting = rs.metadata.deletionTimestamp !== undefined;
    const failure = mayScale && !deleting ? await this.#scale(rs, active) : undefined;
    // While the cache does not show what was done, a count of its Pods would be wrong; when it does, we are called again.
    const counted = expectations.satisfied(keyString(key));
    if (!counted && failure === undefined) return DONE;
    const now = clock.now();
    const terminating = owned.filter(isTerminating);
    await statuses.write(rs, replicaSetStatus(rs, { active, terminating, failure, now }));
    if (failure !== undefined) throw failure;
    const requeueAfterMs = nextAvailabilityMs(active, rs.spec?.minReadySeconds ?? 0, now);
    return requeueAfterMs === undefined ? DONE : { requeueAfterMs };
  }

  /** Creates what is missing or deletes what is too much. Answers what went wrong first. */
  async #scale(rs: ReplicaSet, active: readonly Pod[]): Promise<unknown> {
    const surplus = active.length - (rs.spec?.replicas ?? 1);
    if (surplus < 0) return this.#create(rs, Math.min(-surplus, BURST));
    if (surplus > 0) return this.#delete(rs, active, Math.min(surplus, BURST));
    return undefined;
  }

  async #create(rs: ReplicaSet, count: number): Promise<unknown> {
    const { expectations, podControl } = this.#deps;
    const key = keyOf(rs);
    const template = rs.spec?.template;
    if (!template) return undefined;
    expectations.expectCreations(key, count);
    const { done, failure } = await slowStart(count, async () => {
      try {
        await podControl.create(rs, template);
      } catch (err) {
        if (!isNamespaceTerminating(err)) throw err;
        expectations.creationObserved(key);
      }
    });
    expectations.creationObserved(key, count - done); // what was not tried or failed will not be seen
    return failure;
  }

  async #delete(rs: ReplicaSet, active: readonly Pod[], count: number): Promise<unknown> {
    const { expectations, podControl, clock } = this.#deps;
    const key = keyOf(rs);
    const peersOnNode = countByNode(this.#workloadPods(rs).filter(isPodActive));
    const doomed = podsToDelete(active, count, { peersOnNode, now: clock.now() });
    const uids = doomed.map((pod) => pod.metadata.uid);
    expectations.expectDeletions(key, uids);
    const deletions = doomed.map(async (pod) => {
      try {
        if (await podControl.delete(rs, pod)) return;
        expectations.deletionObserved(key, pod.metadata.uid);
      } catch (err) {
        expectations.deletionObserved(key, pod.metadata.uid);
        throw err;
      }
    });
    const results = await Promise.allSettled(deletions);
    return results.find((result) => result.status === 'rejected')?.reason;
  }

  /** The Pods of all sets that one Deployment owns: those are spread over nodes together. */
  #workloadPods(rs: ReplicaSet): Pod[] {
    const { sets, pods } = this.#deps;
    const owner = controllerOf(rs);
    const related = owner ? sets.byIndex('controller', owner.uid) : [rs];
    return related.flatMap((set) => podsOf(pods, set.metadata.uid));
  }
}
