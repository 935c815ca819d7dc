import { isAlreadyExists, isNotFound } from '../../api/errors.ts';
import { fromLabelSelector } from '../../api/labels.ts';
import { isControlledBy } from '../../api/owner-references.ts';
import {
  CONTROLLER_REVISIONS,
  type ObjectKey,
  PERSISTENT_VOLUME_CLAIMS,
  PODS,
  STATEFUL_SETS,
} from '../../api/resource-types.ts';
import { timeString } from '../../api/times.ts';
import type {
  ControllerRevision,
  PersistentVolumeClaim,
  Pod,
  StatefulSet,
} from '../../api/types.ts';
import type { EventRecorder, Informer } from '../../client/client.ts';
import { DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { errorMessage } from '../../util/errors.ts';
import { claim } from '../claim.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { RevisionHistory, templateOf } from '../controller-revisions.ts';
import { Overlay } from '../overlay.ts';
import {
  byKey,
  claimablePods,
  indexPodsByController,
  selectedBy,
  watchOwnedPods,
} from '../owned-pods.ts';
import { StatusWriter } from '../status-writer.ts';
import { claimName, memberClaims, memberPod, ordinalOf } from './members.ts';
import { type Action, plan, revisionLabel } from './plan.ts';
import { nextAvailability, statefulSetStatus } from './status.ts';

const NAME = 'statefulset-controller';

interface Deps extends Pick<ControllerContext, 'client' | 'clock'> {
  readonly statuses: StatusWriter<StatefulSet>;
  readonly pods: Informer<Pod>;
  /** Members have names: what was made or told to go must not be made or told again. */
  readonly written: Overlay<Pod>;
  readonly claims: Informer<PersistentVolumeClaim>;
  readonly history: RevisionHistory;
  readonly events: EventRecorder;
}

export function statefulSetController(context: ControllerContext): Runnable {
  const { client, clock, informers } = context;
  const sets = informers.get(STATEFUL_SETS);
  const pods = informers.get(PODS);
  const claims = informers.get(PERSISTENT_VOLUME_CLAIMS);
  const revisions = informers.get(CONTROLLER_REVISIONS);
  indexPodsByController(pods);
  const history = new RevisionHistory({ client, revisions, overlay: new Overlay(revisions) });
  const statuses = new StatusWriter(client, sets);
  const written = new Overlay(pods);
  const deps = {
    client,
    clock,
    statuses,
    pods,
    written,
    claims,
    history,
    events: context.events(NAME),
  };
  const controller = newController(context, new StatefulSetReconciler(deps));
  controller.watch(sets);
  for (const needed of [pods, claims, revisions]) controller.needs(needed);
  watchOwnedPods(pods, {
    kind: 'StatefulSet',
    owner: byKey(sets),
    candidates: selectedBy(sets),
    enqueue: (key) => controller.enqueue(key),
  });
  return controller;
}

/** Keeps numbered Pods with names, volumes and an order of their own. */
class StatefulSetReconciler implements Reconciler {
  readonly name = NAME;
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  async reconcile(key: ObjectKey): Promise<Result> {
    const { statuses, clock } = this.#deps;
    const set = statuses.get(key);
    if (!set?.spec) return DONE;
    const owned = await this.#claim(set);
    const { current, update, collisionCount, known } = await this.#revisions(set);
    const revisions = { current: current.metadata.name, update: update.metadata.name };
    const now = clock.now();
    const actions = set.metadata.deletionTimestamp ? [] : plan(set, owned, { revisions, now });
    let failure: unknown;
    const created: Pod[] = [];
    for (const action of actions) {
      try {
        const pod = await this.#act(set, action, { current, update });
        if (pod) created.push(pod);
      } catch (err) {
        failure = err;
        break;
      }
    }
    const pods = [...owned, ...created];
    const status = statefulSetStatus(set, pods, { revisions, collisionCount, now });
    await statuses.write(set, status);
    const inUse = new Set([...Object.values(revisions), ...pods.map(revisionLabel)]);
    await this.#deps.history.truncate(known, inUse, set.spec.revisionHistoryLimit ?? 10);
    if (failure !== undefined) throw failure;
    const requeueAfterMs = nextAvailability(set, pods, now);
    return requeueAfterMs === undefined ? DONE : { requeueAfterMs };
  }

  async #claim(set: StatefulSet): Promise<Pod[]> {
    const { client, pods, written } = this.#deps;
    const cached = claimablePods(pods, set.metadata);
    const items = written
      .over(cached, (pod) => isControlledBy(pod, set))
      .filter((pod) => ordinalOf(set, pod) !== undefined);
    const selector = fromLabelSelector(set.spec?.selector);
    return claim(client, { type: STATEFUL_SETS, object: set, selector }, { type: PODS, items });
  }

  async #revisions(set: StatefulSet): Promise<{
    current: ControllerRevision;
    update: ControllerRevision;
    collisionCount: number;
    known: ControllerRevision[];
  }> {
    const { history } = this.#deps;
    const known = history.of(set);
    const template = set.spec?.template ?? {};
    const collisions = set.status?.collisionCount ?? 0;
    const { revision: update, collisionCount } = await history.ensure(
      set,
      template,
      known,
      collisions,
    );
    const wanted = set.status?.currentRevision;
    const current = known.find(({ metadata }) => metadata.name === wanted) ?? update;
    return { current, update, collisionCount, known };
  }

  async #act(
    set: StatefulSet,
    action: Action,
    { current, update }: { current: ControllerRevision; update: ControllerRevision },
  ): Promise<Pod | undefined> {
    if (action.do === 'delete') {
      await this.#delete(set, action.pod, action.surplus);
      return undefined;
    }
    const revision = action.current ? current : update;
    const name = revision.metadata.name;
    return this.#create(set, action.ordinal, { template: templateOf(revision), revision: name });
  }

  async #create(
    set: StatefulSet,
    ordinal: number,
    from: Parameters<typeof memberPod>[2],
  ): Promise<Pod | undefined> {
    const { client, events } = this.#deps;
    const draft = memberPod(set, ordinal, from);
    const what = `create Pod ${draft.metadata.name} in StatefulSet ${set.metadata.name}`;
    await this.#createClaims(set, ordinal);
    try {
      const pod = await client.create(PODS, draft);
      this.#deps.written.wrote(pod);
      events.event(set, 'Normal', 'SuccessfulCreate', `${what} successful`);
      return pod;
    } catch (err) {
      if (isAlreadyExists(err)) return undefined; // the cache is behind, or somebody else's Pod is in the way
      events.event(set, 'Warning', 'FailedCreate', `${what} failed error: ${errorMessage(err)}`);
      throw err;
    }
  }

  async #createClaims(set: StatefulSet, ordinal: number): Promise<void> {
    const { client, claims, events } = this.#deps;
    for (const draft of memberClaims(set, ordinal)) {
      const { namespace = '', name = '' } = draft.metadata;
      const known = claims.get({ namespace, name });
      if (known?.metadata.deletionTimestamp) throw new Error(`pvc ${name} is being deleted`);
      if (known) continue;
      const what = `create Claim ${name} Pod ${set.metadata.name}-${ordinal} in StatefulSet ${set.metadata.name}`;
      try {
        await client.create(PERSISTENT_VOLUME_CLAIMS, draft);
        events.event(set, 'Normal', 'SuccessfulCreate', `${what} success`);
      } catch (err) {
        if (isAlreadyExists(err)) continue;
        events.event(set, 'Warning', 'FailedCreate', `${what} failed error: ${errorMessage(err)}`);
        throw err;
      }
    }
  }

  async #delete(set: StatefulSet, pod: Pod, surplus: boolean): Promise<void> {
    const { client, events, written, clock } = this.#deps;
    const { namespace, name, uid } = pod.metadata;
    if (surplus) await this.#giveClaimsToPod(set, pod);
    const what = `delete Pod ${name} in StatefulSet ${set.metadata.name}`;
    try {
      await client.delete(PODS, { namespace, name }, { preconditions: { uid } });
      const deletionTimestamp = timeString(clock.now());
      written.wrote({ ...pod, metadata: { ...pod.metadata, deletionTimestamp } });
      events.event(set, 'Normal', 'SuccessfulDelete', `${what} successful`);
    } catch (err) {
      if (isNotFound(err)) return;
      events.event(set, 'Warning', 'FailedDelete', `${what} failed error: ${errorMessage(err)}`);
      throw err;
    }
  }

  /** whenScaled Delete: the claims of a Pod that is scaled away go with the Pod (KEP-1847). */
  async #giveClaimsToPod(set: StatefulSet, pod: Pod): Promise<void> {
    const policy = set.spec?.persistentVolumeClaimRetentionPolicy?.whenScaled;
    const ordinal = ordinalOf(set, pod);
    if (policy !== 'Delete' || ordinal === undefined) return;
    const { namespace, name, uid } = pod.metadata;
    const ownerReferences = [{ apiVersion: 'v1', kind: 'Pod', name, uid }];
    for (const template of set.spec?.volumeClaimTemplates ?? []) {
      const key = { namespace, name: claimName(set, template.metadata?.name ?? '', ordinal) };
      const body = { metadata: { ownerReferences } };
      try {
        await this.#deps.client.patch(PERSISTENT_VOLUME_CLAIMS, key, { type: 'merge', body });
      } catch (err) {
        if (!isNotFound(err)) throw err;
      }
    }
  }
}
