import { fromLabelSelector } from '../../api/labels.ts';
import { controllerOf, isControlledBy } from '../../api/owner-references.ts';
import { isPodTerminal } from '../../api/pods.ts';
import { DEPLOYMENTS, type ObjectKey, PODS, REPLICA_SETS } from '../../api/resource-types.ts';
import type { Deployment, Pod, ReplicaSet } from '../../api/types.ts';
import type { EventRecorder, Informer } from '../../client/client.ts';
import { DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { keyOf } from '../../client/indexer.ts';
import { claim } from '../claim.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { Overlay } from '../overlay.ts';
import { indexPodsByController, podsOf } from '../owned-pods.ts';
import { StatusWriter } from '../status-writer.ts';
import { unlessGone } from '../unless-gone.ts';
import { sizeOf, wishedReplicas } from './bounds.ts';
import { proportionalSizes } from './proportions.ts';
import { findNewest, ReplicaSets } from './replica-sets.ts';
import { byRevision, DESIRED_REPLICAS } from './revisions.ts';
import { newReplicaSetSize, shrinkOld } from './rolling.ts';
import { countsOf, isComplete, msToDeadline, pauseCondition, rolloutStatus } from './status.ts';
import { deploymentOfReplicaSet, watchReplicaSets } from './watch.ts';

const NAME = 'deployment-controller';

interface Deps extends Pick<ControllerContext, 'client' | 'clock'> {
  readonly statuses: StatusWriter<Deployment>;
  readonly sets: Informer<ReplicaSet>;
  readonly written: Overlay<ReplicaSet>;
  readonly pods: Informer<Pod>;
  readonly events: EventRecorder;
}

/** A Deployment with its ReplicaSets: the newest has the current template. */
interface World {
  deployment: Deployment;
  newest: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];
}

export function deploymentController(context: ControllerContext): Runnable {
  const { client, clock, informers } = context;
  const deployments = informers.get(DEPLOYMENTS);
  const sets = informers.get(REPLICA_SETS);
  const pods = informers.get(PODS);
  sets.addIndex('controller', (rs) => [controllerOf(rs)?.uid ?? '']);
  indexPodsByController(pods);
  const events = context.events(NAME);
  const statuses = new StatusWriter(client, deployments);
  const written = new Overlay(sets);
  const deps = { client, clock, statuses, sets, written, pods, events };
  const controller = newController(context, new DeploymentReconciler(deps));
  controller.watch(deployments);
  controller.needs(sets);
  controller.needs(pods);
  watchReplicaSets({ deployments, sets, enqueue: (key) => controller.enqueue(key) });
  pods.addHandler({
    // Recreate waits for the last old Pod to go.
    onDelete: (pod) => {
      const rs = sets.get({
        namespace: pod.metadata.namespace,
        name: controllerOf(pod)?.name ?? '',
      });
      const owner = rs && deploymentOfReplicaSet(deployments, rs);
      if (owner?.spec?.strategy?.type === 'Recreate') controller.enqueue(keyOf(owner));
    },
  });
  return controller;
}

/** Moves a Deployment's Pods to its template by growing the new ReplicaSet and shrinking the old ones. */
class DeploymentReconciler implements Reconciler {
  readonly name = NAME;
  readonly #deps: Deps;
  readonly #replicaSets: ReplicaSets;

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#replicaSets = new ReplicaSets(deps);
  }

  async reconcile(key: ObjectKey): Promise<Result> {
    const { statuses, events, clock } = this.#deps;
    const deployment = statuses.get(key);
    if (!deployment) return DONE; // the garbage collector takes its ReplicaSets
    if (selectsEverything(deployment)) {
      const text = 'This deployment is selecting all pods. A non-empty selector is required.';
      events.event(deployment, 'Warning', 'SelectingAll', text);
      await this.#markObserved(deployment);
      return DONE;
    }
    const world = await this.#look(deployment);
    if (deployment.metadata.deletionTimestamp) {
      await statuses.write(deployment, countsOf(deployment, { ...world, now: clock.now() }));
      return DONE;
    }
    await this.#tellPause(world);
    if (deployment.spec?.paused || isScaling(world)) return this.#resize(world);
    if (deployment.spec?.strategy?.type === 'Recreate') return this.#recreate(world);
    return this.#roll(world);
  }

  async #look(deployment: Deployment): Promise<World> {
    const { client, sets, written } = this.#deps;
    const { namespace } = deployment.metadata;
    const items = written.over(sets.list(namespace), (rs) => isControlledBy(rs, deployment));
    const selector = fromLabelSelector(deployment.spec?.selector);
    const owner = { type: DEPLOYMENTS, object: deployment, selector };
    const owned = await claim(client, owner, { type: REPLICA_SETS, items });
    const newest = findNewest(deployment, owned);
    return { deployment, newest, old: owned.filter((rs) => rs !== newest) };
  }

  /** Makes sure of the ReplicaSet of the current template. False: look again when the cache shows what was written. */
  async #ensureNewest(world: World): Promise<boolean> {
    const { deployment, newest, old } = world;
    if (newest) {
      const { changed, ...after } = await this.#replicaSets.refresh(deployment, newest, old);
      Object.assign(world, after);
      return !changed;
    }
    const created = await this.#replicaSets.create(deployment, old);
    if (!created) return false;
    Object.assign(world, created);
    return true;
  }

  async #roll(world: World): Promise<Result> {
    if (!(await this.#ensureNewest(world))) return this.#finish(world);
    const { deployment, newest, old } = world;
    if (newest) {
      const size = Math.min(sizeOf(newest), wishedReplicas(deployment));
      const wanted = newReplicaSetSize(deployment, { old, newest }, size);
      if (await this.#replicaSets.scale(deployment, newest, wanted)) return this.#finish(world);
    }
    const shrinking = shrinkOld(deployment, old, newest);
    for (const { rs, replicas } of shrinking) {
      await this.#replicaSets.scale(deployment, rs, replicas);
    }
    if (shrinking.length === 0) await this.#cleanUpIfComplete(world);
    return this.#finish(world);
  }

  async #recreate(world: World): Promise<Result> {
    const { deployment, newest, old } = world;
    const active = old.filter((rs) => sizeOf(rs) > 0);
    for (const rs of active) await this.#replicaSets.scale(deployment, rs, 0);
    if (active.length > 0 || this.#oldPodsRun(world)) return this.#finish(world);
    if (!(await this.#ensureNewest(world))) return this.#finish(world);
    const made = world.newest ?? newest;
    if (made) {
      const wished = wishedReplicas(deployment);
      if (await this.#replicaSets.scale(world.deployment, made, wished)) return this.#finish(world);
    }
    await this.#cleanUpIfComplete(world);
    return this.#finish(world);
  }

  #oldPodsRun({ old }: World): boolean {
    const { pods } = this.#deps;
    return old.some((rs) => podsOf(pods, rs.metadata.uid).some((pod) => !isPodTerminal(pod)));
  }

  /** Follows a change of spec.replicas without rolling: paused, or in the middle of a rollout. */
  async #resize(world: World): Promise<Result> {
    if (world.newest) await this.#ensureNewest(world);
    const { deployment, newest, old } = world;
    for (const { rs, replicas } of resizing(deployment, newest, old)) {
      await this.#replicaSets.scale(deployment, rs, replicas);
    }
    if (deployment.spec?.paused) await this.#cleanUp(world);
    const status = countsOf(world.deployment, { ...world, now: this.#deps.clock.now() });
    await this.#deps.statuses.write(world.deployment, status);
    return DONE;
  }

  async #finish(world: World): Promise<Result> {
    const now = this.#deps.clock.now();
    const status = rolloutStatus(world.deployment, { ...world, now });
    await this.#deps.statuses.write(world.deployment, status);
    const requeueAfterMs = msToDeadline(world.deployment, status, now);
    return requeueAfterMs === undefined ? DONE : { requeueAfterMs };
  }

  async #cleanUpIfComplete(world: World): Promise<void> {
    const { deployment } = world;
    if (isComplete(deployment, deployment.status ?? {})) await this.#cleanUp(world);
  }

  /** Old ReplicaSets beyond revisionHistoryLimit go, the oldest revisions first, never one with Pods. */
  async #cleanUp({ deployment, old }: World): Promise<void> {
    const limit = deployment.spec?.revisionHistoryLimit;
    if (limit === undefined) return;
    const alive = old.filter((rs) => !rs.metadata.deletionTimestamp);
    const surplus = alive.toSorted(byRevision);
    for (const rs of surplus.slice(0, Math.max(0, alive.length - limit))) {
      const { namespace, name, uid, generation = 0 } = rs.metadata;
      const { replicas = 0, observedGeneration = 0 } = rs.status ?? {};
      if (replicas !== 0 || sizeOf(rs) !== 0 || generation > observedGeneration) continue;
      const how = { preconditions: { uid } };
      await unlessGone(this.#deps.client.delete(REPLICA_SETS, { namespace, name }, how));
    }
  }

  async #tellPause(world: World): Promise<void> {
    const { statuses, clock } = this.#deps;
    const conditions = pauseCondition(world.deployment, clock.now());
    if (!conditions) return;
    const status = { ...world.deployment.status, conditions };
    world.deployment = await statuses.write(world.deployment, status);
  }

  async #markObserved(deployment: Deployment): Promise<void> {
    const observedGeneration = deployment.metadata.generation ?? 0;
    const status = { ...deployment.status, observedGeneration };
    await this.#deps.statuses.write(deployment, status);
  }
}

function selectsEverything({ spec }: Deployment): boolean {
  return fromLabelSelector(spec?.selector).length === 0;
}

/** spec.replicas is not what it was when the active ReplicaSets were last sized. */
function isScaling({ deployment, newest, old }: World): boolean {
  const active = [...old, ...(newest ? [newest] : [])].filter((rs) => sizeOf(rs) > 0);
  return active.some((rs) => {
    const desired = rs.metadata.annotations?.[DESIRED_REPLICAS];
    return desired !== undefined && Number(desired) !== wishedReplicas(deployment);
  });
}

/** The sizes after a change of spec.replicas (upstream's scale). Pure. */
function resizing(
  deployment: Deployment,
  newest: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
): { rs: ReplicaSet; replicas: number }[] {
  const wished = wishedReplicas(deployment);
  const active = [...old, ...(newest ? [newest] : [])].filter((rs) => sizeOf(rs) > 0);
  const only = active.length <= 1 ? (active[0] ?? newest ?? old[0]) : undefined;
  if (only) return [{ rs: only, replicas: wished }];
  if (newest && isSaturated(newest, wished)) {
    return old.filter((rs) => sizeOf(rs) > 0).map((rs) => ({ rs, replicas: 0 }));
  }
  if (deployment.spec?.strategy?.type === 'Recreate') return [];
  return proportionalSizes(deployment, active);
}

function isSaturated(rs: ReplicaSet, wished: number): boolean {
  const desired = Number(rs.metadata.annotations?.[DESIRED_REPLICAS]);
  const available = rs.status?.availableReplicas ?? 0;
  return sizeOf(rs) === wished && desired === wished && available === wished;
}
