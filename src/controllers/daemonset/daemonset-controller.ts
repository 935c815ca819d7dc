import { fromLabelSelector } from '../../api/labels.ts';
import {
  CONTROLLER_REVISIONS,
  DAEMON_SETS,
  keyString,
  NODES,
  type ObjectKey,
  PODS,
} from '../../api/resource-types.ts';
import type { DaemonSet, Node, Pod } from '../../api/types.ts';
import type { EventRecorder, Informer } from '../../client/client.ts';
import { DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { keyOf } from '../../client/indexer.ts';
import { Backoff } from '../../util/backoff.ts';
import { jsonEqual } from '../../util/json.ts';
import { claim } from '../claim.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { RevisionHistory } from '../controller-revisions.ts';
import { Expectations } from '../expectations.ts';
import { Overlay } from '../overlay.ts';
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
import { daemonTolerations, placement, withNodeAffinity } from './nodes.ts';
import { type DaemonPlan, daemonSetStatus, planDaemons, revisionLabels } from './plan.ts';

const NAME = 'daemonset-controller';
const BURST = 250;
/** Between two replacements of failed Pods of a node: a kubelet that refuses each at once must not be asked in a loop. */
const RETRY = { firstMs: 1_000, maxMs: 15 * 60_000 };

interface Deps extends Pick<ControllerContext, 'client' | 'clock'> {
  readonly statuses: StatusWriter<DaemonSet>;
  readonly pods: Informer<Pod>;
  readonly nodes: Informer<Node>;
  readonly history: RevisionHistory;
  readonly podControl: PodControl;
  readonly expectations: Expectations;
  readonly events: EventRecorder;
}

export function daemonSetController(context: ControllerContext): Runnable {
  const { client, clock, informers } = context;
  const sets = informers.get(DAEMON_SETS);
  const pods = informers.get(PODS);
  const nodes = informers.get(NODES);
  const revisions = informers.get(CONTROLLER_REVISIONS);
  indexPodsByController(pods);
  const history = new RevisionHistory({ client, revisions, overlay: new Overlay(revisions) });
  const expectations = new Expectations(clock);
  const events = context.events(NAME);
  const podControl = new PodControl({ client, events });
  const statuses = new StatusWriter(client, sets);
  const deps = { client, clock, statuses, pods, nodes, history, podControl, expectations, events };
  const controller = newController(context, new DaemonSetReconciler(deps));
  controller.watch(sets);
  for (const needed of [pods, nodes, revisions]) controller.needs(needed);
  const enqueueFor = (test: (set: DaemonSet) => boolean) => {
    for (const set of sets.list()) if (test(set)) controller.enqueue(keyOf(set));
  };
  nodes.addHandler({
    onAdd: (node) => enqueueFor((set) => placement(set, node).run),
    onUpdate: (before, after) => {
      // Heartbeats change nothing that a daemon depends on.
      enqueueFor((set) => !jsonEqual(placement(set, before), placement(set, after)));
    },
    onDelete: (node) => enqueueFor((set) => placement(set, node).stay),
  });
  watchOwnedPods(pods, {
    kind: 'DaemonSet',
    owner: byKey(sets),
    candidates: selectedBy(sets),
    enqueue: (key) => controller.enqueue(key),
    created: (key) => expectations.creationObserved(key),
    deleted: (key, pod) => expectations.deletionObserved(key, pod.metadata.uid),
  });
  return controller;
}

/** Runs one Pod on each node that matches. */
class DaemonSetReconciler implements Reconciler {
  readonly name = NAME;
  readonly #deps: Deps;
  readonly #retries: Backoff;

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#retries = new Backoff({ clock: deps.clock, ...RETRY });
  }

  async reconcile(key: ObjectKey): Promise<Result> {
    const { statuses, nodes, pods, client, expectations, history, clock, events } = this.#deps;
    const set = statuses.get(key);
    if (!set?.spec) {
      expectations.forget(keyString(key));
      return DONE;
    }
    const selector = fromLabelSelector(set.spec.selector);
    if (selector.length === 0) {
      const text = 'This daemon set is selecting all pods. A non-empty selector is required.';
      events.event(set, 'Warning', 'SelectingAll', text);
      return DONE;
    }
    if (set.metadata.deletionTimestamp) return DONE;
    const items = claimablePods(pods, set.metadata);
    const owner = { type: DAEMON_SETS, object: set, selector };
    const owned = await claim(client, owner, { type: PODS, items });
    const known = await history.of(owner);
    const collisions = set.status?.collisionCount ?? 0;
    const ensured = await history.ensure(set, set.spec.template, known, collisions);
    const hash = ensured.revision.metadata.labels?.['controller-revision-hash'] ?? '';
    const world = { nodes: nodes.list(), pods: owned, hash, now: clock.now() };
    let failure: unknown;
    let waitMs: number | undefined;
    if (expectations.satisfied(keyString(key))) {
      const paced = this.#pace(set, planDaemons(set, world));
      waitMs = paced.waitMs;
      failure = await this.#carryOut(set, paced.plan, hash);
    }
    const inUse = new Set(owned.map((pod) => pod.metadata.labels?.['controller-revision-hash']));
    const names = known.filter(({ metadata }) =>
      inUse.has(metadata.labels?.['controller-revision-hash'] ?? ''),
    );
    const kept = new Set([ensured.revision, ...names].map(({ metadata }) => metadata.name));
    await history.truncate(known, kept, set.spec.revisionHistoryLimit ?? 10);
    await statuses.write(set, daemonSetStatus(set, world, ensured.collisionCount));
    if (failure !== undefined) throw failure;
    const { minReadySeconds = 0 } = set.spec;
    const waiting = minReadySeconds > 0 && set.status?.numberReady !== set.status?.numberAvailable;
    return soonest(waitMs, waiting ? minReadySeconds * 1000 : undefined);
  }

  /** Leaves failed Pods where they are until it is time for the next try on their node; tells of the others. */
  #pace(set: DaemonSet, plan: DaemonPlan): { plan: DaemonPlan; waitMs: number | undefined } {
    const { events, clock } = this.#deps;
    const early = new Set<Pod>();
    let waitMs: number | undefined;
    for (const pod of plan.ended) {
      const node = pod.spec?.nodeName;
      if (pod.status?.phase !== 'Failed') {
        const text = `Found succeeded daemon pod ${keyOf(pod)} on node ${node}, will try to delete it`;
        events.event(set, 'Normal', 'SucceededDaemonPod', text);
        continue;
      }
      const { uid, generation } = set.metadata;
      const retries = `${uid}/${generation}/${node}`;
      const left = this.#retries.remaining(retries, Date.parse(pod.metadata.creationTimestamp));
      if (left > 0) {
        early.add(pod);
        waitMs = Math.min(left, waitMs ?? left);
        continue;
      }
      this.#retries.next(retries, clock.now());
      const text = `Found failed daemon pod ${keyOf(pod)} on node ${node}, will try to kill it`;
      events.event(set, 'Warning', 'FailedDaemonPod', text);
    }
    return { plan: { ...plan, delete: plan.delete.filter((pod) => !early.has(pod)) }, waitMs };
  }

  async #carryOut(set: DaemonSet, plan: DaemonPlan, hash: string): Promise<unknown> {
    const { expectations, podControl } = this.#deps;
    const key = keyOf(set);
    const create = plan.create.slice(0, BURST);
    const doomed = plan.delete.slice(0, BURST);
    if (create.length === 0 && doomed.length === 0) return undefined;
    expectations.expect(
      key,
      create.length,
      doomed.map((pod) => pod.metadata.uid),
    );
    const { done, failure } = await slowStart(create.length, (i) =>
      this.#create(set, create[i] ?? '', hash),
    );
    expectations.creationObserved(key, create.length - done);
    const results = await Promise.allSettled(
      doomed.map(async (pod) => {
        let asked = false;
        try {
          asked = await podControl.delete(set, pod);
        } finally {
          if (!asked) expectations.deletionObserved(key, pod.metadata.uid);
        }
      }),
    );
    return failure ?? results.find((result) => result.status === 'rejected')?.reason;
  }

  async #create(set: DaemonSet, node: string, hash: string): Promise<void> {
    const template = set.spec?.template ?? {};
    await this.#deps.podControl.create(set, template, (pod) => {
      const { metadata, spec = { containers: [] } } = pod;
      metadata.labels = { ...metadata.labels, ...revisionLabels(set, hash) };
      const tolerations = daemonTolerations(spec);
      pod.spec = withNodeAffinity({ ...spec, tolerations }, node);
    });
  }
}
