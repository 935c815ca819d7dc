import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EventRecorder } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage, isAbort } from '../util/errors.ts';
import { runAll } from '../util/lifecycle.ts';
import type { Logger } from '../util/log.ts';
import { Binder } from './binder.ts';
import type { Cache } from './cache.ts';
import { type ClusterView, informersOf } from './cluster-view.ts';
import { SchedulingCycle } from './cycle.ts';
import { CycleState } from './cycle-state.ts';
import type { DecisionRecord, DecisionReport } from './decisions.ts';
import { handleEvents } from './event-handlers.ts';
import type { Evictor } from './evictor.ts';
import type { Extender } from './extender.ts';
import { FailureHandler } from './failure.ts';
import type { SchedulerMetrics } from './metrics.ts';
import type { Nominator } from './nominator.ts';
import type { PodInfo } from './pod-info.ts';
import type { PodStatusWriter } from './pod-status.ts';
import type { Profile } from './profile.ts';
import type { SchedulingQueue } from './queue.ts';
import type { QueuedPod } from './queued-pod.ts';
import { failed, isRejection, type Status } from './status.ts';
import type { WaitingPods } from './waiting-pods.ts';

export interface SchedulerDeps {
  readonly view: ClusterView;
  readonly evictor: Evictor;
  readonly cache: Cache;
  readonly queue: SchedulingQueue;
  readonly nominator: Nominator;
  readonly statusWriter: PodStatusWriter;
  /** By scheduler name. */
  readonly profiles: ReadonlyMap<string, Profile>;
  readonly extenders: readonly Extender[];
  readonly events: EventRecorder;
  readonly metrics: SchedulerMetrics;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly decisions: DecisionRecord;
  readonly waitingPods: WaitingPods;
}

export interface SchedulerOptions {
  readonly percentageOfNodesToScore: number;
}

/** How long cycles may follow each other before what arrived on the network is looked at. */
const TURN_MS = 5;

/**
 * Decides which node each waiting Pod runs on. One Pod at a time: take it from the queue, find the nodes that fit
 * and the best of them, assume the Pod there, and bind it while the next one's turn comes.
 *
 *     informers ──► cache ──snapshot──┐
 *         └───────► queue ──pop──► cycle ──► assume ──► reserve ──► permit ──► binder ──► API server
 *                     ▲              └ no node ► postFilter (preemption) ► failure ┐
 *                     └──────────────────────────────────────────────────────────────┘
 */
export class Scheduler {
  readonly #deps: SchedulerDeps;
  readonly #cycle: SchedulingCycle;
  readonly #binder: Binder;
  readonly #failure: FailureHandler;

  constructor(deps: SchedulerDeps, options: SchedulerOptions) {
    this.#deps = deps;
    this.#cycle = new SchedulingCycle(deps, options);
    this.#failure = new FailureHandler({ ...deps, pods: deps.view.pods });
    this.#binder = new Binder({ ...deps, failure: this.#failure });
    handleEvents({
      ...deps,
      ...deps.view,
      isOurs: (name) => deps.profiles.has(name),
      onPodLeft(uid) {
        deps.statusWriter.forget(uid);
        deps.waitingPods.reject(uid, '', 'the Pod is gone');
      },
    });
  }

  /** The last decision about the Pod of that name, if it is remembered. */
  explain(namespace: string, name: string): DecisionReport | undefined {
    return this.#deps.decisions.find(namespace, name);
  }

  /** Brings the gauges up to date. */
  observe(): void {
    const { cache, metrics, queue } = this.#deps;
    metrics.queues(queue.sizes);
    const { nodeCount: nodes, podCount: pods, assumedCount: assumed_pods } = cache;
    metrics.cacheSize({ nodes, pods, assumed_pods });
  }

  /** Works until aborted, then waits for the bindings under way. The caller runs the informers. */
  async run(signal: AbortSignal): Promise<void> {
    const { evictor, queue, statusWriter, view } = this.#deps;
    await Promise.all(informersOf(view).map((informer) => informer.whenSynced(signal)));
    try {
      await runAll(signal, [this.#loop(signal)]);
    } finally {
      queue.close();
      this.#deps.waitingPods.close();
      await Promise.all([this.#binder.idle(), evictor.idle(), statusWriter.idle()]);
    }
  }

  async #loop(signal: AbortSignal): Promise<void> {
    const { clock, queue } = this.#deps;
    let turnEnds = clock.now() + TURN_MS;
    while (!signal.aborted) {
      const pod = await queue.pop(signal);
      await this.#attempt(pod, signal);
      if (clock.now() >= turnEnds) {
        await nextTurn();
        turnEnds = clock.now() + TURN_MS;
      }
    }
  }

  /** Tries to place one Pod. Whatever goes wrong with it must not stop the scheduler. */
  async #attempt(pod: QueuedPod, signal: AbortSignal): Promise<void> {
    const { log, profiles, queue } = this.#deps;
    const profile = profiles.get(pod.info.pod.spec?.schedulerName ?? 'default-scheduler');
    if (!profile || this.#mustSkip(pod)) return queue.done(pod.info.uid);
    try {
      await this.#schedule(profile, pod, signal);
    } catch (err) {
      if (signal.aborted && isAbort(err)) return;
      log.error({ pod: pod.info.key, err: errorMessage(err) }, 'Cannot schedule a Pod');
      this.#failure.failed(profile, pod, failed(errorMessage(err), err));
    }
  }

  /** A Pod that is being deleted, or placed already, is not placed. */
  #mustSkip({ info }: QueuedPod): boolean {
    const { cache, events } = this.#deps;
    if (info.pod.metadata.deletionTimestamp === undefined) return cache.isAssumed(info.uid);
    events.event(
      info.pod,
      'Warning',
      'FailedScheduling',
      `skip schedule deleting pod: ${info.key}`,
    );
    return true;
  }

  async #schedule(profile: Profile, pod: QueuedPod, signal: AbortSignal): Promise<void> {
    const { cache, clock, metrics } = this.#deps;
    const startedAt = clock.now();
    const state = new CycleState();
    const snapshot = cache.snapshot();
    const placement = await this.#cycle.place(profile, state, pod.info, snapshot);
    metrics.algorithm((clock.now() - startedAt) / 1000);
    switch (placement.kind) {
      case 'no-nodes':
        return this.#failure.noNodes(profile, pod, startedAt);
      case 'failed':
        return this.#failure.failed(profile, pod, placement.status, startedAt);
      case 'unschedulable':
        return this.#failure.unschedulable(profile, pod, {
          state,
          snapshot,
          diagnosis: placement.diagnosis,
          startedAt,
        });
      case 'placed':
        this.#deps.decisions.add({
          ...pod.info.pod.metadata,
          ...{ profile: profile.name, attempt: pod.attempts, outcome: 'placed' },
          ...{ node: placement.nodeName, nodeCount: snapshot.nodes.length },
          ...{ rejections: placement.rejections, scores: placement.scores },
        });
        return this.#take(profile, pod, { state, nodeName: placement.nodeName, startedAt, signal });
    }
  }

  /** Books the node for the Pod and starts to bind it. */
  #take(
    profile: Profile,
    pod: QueuedPod,
    chosen: { state: CycleState; nodeName: string; startedAt: number; signal: AbortSignal },
  ): void {
    const { cache, nominator } = this.#deps;
    const { nodeName, startedAt } = chosen;
    const assumed = pod.info.on(nodeName);
    cache.assume(assumed);
    nominator.remove(pod.info.uid);
    const refused = this.#reserveAndPermit(profile, pod, assumed, chosen);
    if (!refused) return;
    cache.forget(assumed.uid);
    if (isRejection(refused)) {
      this.#failure.rejected(profile, pod, { nodeName, status: refused, startedAt });
    } else this.#failure.failed(profile, pod, refused, startedAt);
  }

  /** Hands the Pod to the binder, unless a plugin refuses it. */
  #reserveAndPermit(
    profile: Profile,
    pod: QueuedPod,
    assumed: PodInfo,
    chosen: { state: CycleState; nodeName: string; startedAt: number; signal: AbortSignal },
  ): Status | undefined {
    const { state, nodeName } = chosen;
    const refused = profile.reserve(state, assumed, nodeName);
    if (refused) return refused;
    const { status, waits } = profile.permit(state, assumed, nodeName);
    if (status) {
      profile.unreserve(state, assumed, nodeName);
      return status;
    }
    const permitted = waits.size > 0 ? this.#deps.waitingPods.wait(assumed.uid, waits) : undefined;
    this.#binder.bind({ profile, pod, assumed, permitted, ...chosen });
    return undefined;
  }
}
