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
import type { ControllerRevision, Pod, StatefulSet } from '../../api/types.ts';
import type { EventRecorder, Informer } from '../../client/client.ts';
import { DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { errorMessage } from '../../util/errors.ts';
import { type Claiming, claim } from '../claim.ts';
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
import { MemberClaims } from './claims.ts';
import { memberPod, ordinalOf } from './members.ts';
import { type Action, isGoing, plan, revisionLabel } from './plan.ts';
import { nextAvailability, statefulSetStatus } from './status.ts';

const NAME = 'statefulset-controller';

interface Deps extends Pick<ControllerContext, 'client' | 'clock'> {
  readonly statuses: StatusWriter<StatefulSet>;
  readonly pods: Informer<Pod>;
  /** Members have names: what was made or told to go must not be made or told again. */
  readonly written: Overlay<Pod>;
  readonly claims: MemberClaims;
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
  const events = context.events(NAME);
  const members = new MemberClaims({ client, claims, events });
  const deps = { client, clock, statuses, pods, written, claims: members, history, events };
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
    const owner = {
      type: STATEFUL_SETS,
      object: set,
      selector: fromLabelSelector(set.spec.selector),
    };
    const owned = await this.#claim(owner);
    const { current, update, collisionCount, known } = await this.#revisions(owner);
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
    failure ??= await this.#settleClaims(set, owned);
    const pods = [...owned, ...created];
    const status = statefulSetStatus(set, pods, { revisions, collisionCount, now });
    await statuses.write(set, status);
    const inUse = new Set([...Object.values(revisions), ...pods.map(revisionLabel)]);
    await this.#deps.history.truncate(known, inUse, set.spec.revisionHistoryLimit ?? 10);
    if (failure !== undefined) throw failure;
    const requeueAfterMs = nextAvailability(set, pods, now);
    return requeueAfterMs === undefined ? DONE : { requeueAfterMs };
  }

  /** Answers what went wrong. */
  async #settleClaims(set: StatefulSet, members: readonly Pod[]): Promise<unknown> {
    const { claims } = this.#deps;
    try {
      for (const pod of members.filter((one) => !isGoing(one))) {
        const ordinal = ordinalOf(set, pod);
        // Its claims were deleted before it got its volumes: it would wait for ever.
        if (pod.status?.phase === 'Pending' && ordinal !== undefined) {
          await claims.ensure(set, ordinal, pod.metadata.uid);
        }
        await claims.settleOwners(set, pod);
      }
      return undefined;
    } catch (err) {
      return err;
    }
  }

  async #claim(owner: Claiming<StatefulSet>): Promise<Pod[]> {
    const { client, pods, written } = this.#deps;
    const set = owner.object;
    const cached = claimablePods(pods, set.metadata);
    const items = written
      .over(cached, (pod) => isControlledBy(pod, set))
      .filter((pod) => ordinalOf(set, pod) !== undefined);
    return claim(client, owner, { type: PODS, items });
  }

  async #revisions(owner: Claiming<StatefulSet>): Promise<{
    current: ControllerRevision;
    update: ControllerRevision;
    collisionCount: number;
    known: ControllerRevision[];
  }> {
    const { history } = this.#deps;
    const set = owner.object;
    const known = await history.of(owner);
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
    await this.#deps.claims.ensure(set, ordinal);
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

  async #delete(set: StatefulSet, pod: Pod, surplus: boolean): Promise<void> {
    const { client, events, written, clock, claims } = this.#deps;
    const { namespace, name, uid } = pod.metadata;
    if (surplus) await claims.settleOwners(set, pod);
    const what = `delete Pod ${name} in StatefulSet ${set.metadata.name}`;
    try {
      await client.delete(PODS, { namespace, name }, { preconditions: { uid } });
      const deletionTimestamp = timeString(clock.now());
      written.dismissed({ ...pod, metadata: { ...pod.metadata, deletionTimestamp } });
      events.event(set, 'Normal', 'SuccessfulDelete', `${what} successful`);
    } catch (err) {
      if (isNotFound(err)) return;
      events.event(set, 'Warning', 'FailedDelete', `${what} failed error: ${errorMessage(err)}`);
      throw err;
    }
  }
}
