import type { EventRecorder } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import type { Cache } from './cache.ts';
import type { CycleState } from './cycle-state.ts';
import type { Extender } from './extender.ts';
import type { FailureHandler } from './failure.ts';
import { Limiter } from './limiter.ts';
import type { SchedulerMetrics } from './metrics.ts';
import type { PodInfo } from './pod-info.ts';
import type { Profile } from './profile.ts';
import type { SchedulingQueue } from './queue.ts';
import type { QueuedPod } from './queued-pod.ts';
import { failed, isRejection, type Status } from './status.ts';

export interface BinderDeps {
  readonly cache: Cache;
  readonly queue: SchedulingQueue;
  readonly extenders: readonly Extender[];
  readonly failure: FailureHandler;
  readonly events: EventRecorder;
  readonly metrics: SchedulerMetrics;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A Pod on its way to a node. */
export interface Binding {
  readonly profile: Profile;
  readonly pod: QueuedPod;
  /** The Pod as the cache holds it, on the node. */
  readonly assumed: PodInfo;
  readonly nodeName: string;
  readonly state: CycleState;
  readonly startedAt: number;
  /** Settles when no Permit plugin holds the Pod back any more; a Status is a refusal. */
  readonly permitted: Promise<Status | undefined> | undefined;
  readonly signal: AbortSignal;
}

const AT_ONCE = 64;

/** Binds assumed Pods, many at once, beside the scheduling of the next ones. A Pod that cannot be bound is taken back. */
export class Binder {
  readonly #deps: BinderDeps;
  readonly #limiter = new Limiter(AT_ONCE);
  readonly #running = new Set<Promise<void>>();

  constructor(deps: BinderDeps) {
    this.#deps = deps;
  }

  bind(binding: Binding): void {
    // Volumes may take minutes before the Pod can be bound: only the call to the API server takes its turn.
    const running = this.#bind(binding).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Resolves when no binding is under way. */
  idle(): Promise<void> {
    return Promise.all(this.#running).then(() => {});
  }

  async #bind(binding: Binding): Promise<void> {
    const status = await this.#steps(binding).catch((err: unknown) =>
      failed(errorMessage(err), err),
    );
    if (status) this.#undo(binding, status);
    else this.#finish(binding);
  }

  async #steps(binding: Binding): Promise<Status | undefined> {
    const { profile, state, assumed, nodeName, signal } = binding;
    const refused = await binding.permitted;
    if (refused) return refused;
    const status = await profile.preBind(state, assumed, nodeName, signal);
    if (status) return status;
    const extender = this.#deps.extenders.find((e) => e.binds && e.isInterested(assumed));
    if (!extender) return this.#limiter.run(() => profile.bind(state, assumed, nodeName));
    await this.#limiter.run(() => extender.bind(assumed, nodeName));
    return undefined;
  }

  #finish({ profile, pod, assumed, nodeName, state, startedAt }: Binding): void {
    const { cache, clock, events, log, metrics, queue } = this.#deps;
    cache.finishBinding(assumed.uid);
    queue.done(assumed.uid);
    const now = clock.now();
    metrics.attempt('scheduled', profile.name, (now - startedAt) / 1000);
    metrics.scheduled(pod.attempts, (now - (pod.firstAttemptAt ?? startedAt)) / 1000);
    log.debug({ pod: assumed.key, node: nodeName }, 'Bound a Pod');
    const message = `Successfully assigned ${assumed.key} to ${nodeName}`;
    events.event(pod.info.pod, 'Normal', 'Scheduled', message);
    profile.postBind(state, assumed, nodeName);
  }

  #undo({ profile, pod, assumed, nodeName, state, startedAt }: Binding, status: Status): void {
    const { cache, failure, log, queue } = this.#deps;
    log.warn({ pod: assumed.key, node: nodeName, err: status.reasons[0] }, 'Cannot bind a Pod');
    profile.unreserve(state, assumed, nodeName);
    cache.forget(assumed.uid);
    if (isRejection(status)) failure.rejected(profile, pod, { nodeName, status, startedAt });
    else failure.failed(profile, pod, status, startedAt);
    // What the Pod had booked is free again: the others see it as if it had been deleted.
    queue.move(['AssignedPod/Delete'], { before: assumed.pod });
  }
}
