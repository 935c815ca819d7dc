import type { Clock } from '../util/clock.ts';
import { KeyedHeap } from '../util/heap.ts';
import { ActivePods } from './active-pods.ts';
import type { Change, ClusterEvent } from './cluster-events.ts';
import { InFlight } from './in-flight.ts';
import type { PodInfo } from './pod-info.ts';
import { newQueuedPod, type QueuedPod } from './queued-pod.ts';
import { UnschedulablePods } from './unschedulable-pods.ts';
import type { WakeTable } from './wake-table.ts';

export interface QueueOptions {
  readonly initialBackoffMs: number;
  readonly maxBackoffMs: number;
  /** After this long without a helpful event a Pod is tried again all the same. */
  readonly maxUnschedulableMs?: number;
}

export interface QueueDeps {
  readonly clock: Clock;
  readonly less: (a: QueuedPod, b: QueuedPod) => boolean;
  /** The plugin that keeps the Pod out of the active queue, if one does. */
  readonly gate: (pod: PodInfo) => string | undefined;
  readonly wakes: WakeTable;
}

const FLUSH_PERIOD_MS = 30_000;
const MAX_UNSCHEDULABLE_MS = 5 * 60_000;

/**
 * Pods that wait for a node. Three places: `active` (ready), `backoff`
 * (ready when their time comes, or when nothing else is to do) and `unschedulable` (until an event happens
 * that can help them, or five minutes). A popped Pod is in flight until it is given back or done; events
 * that happen meanwhile are not lost on it.
 */
export class SchedulingQueue {
  readonly #deps: QueueDeps;
  readonly #options: Required<QueueOptions>;
  readonly #active: ActivePods;
  readonly #backoff: KeyedHeap<QueuedPod>;
  readonly #unschedulable = new UnschedulablePods();
  readonly #inFlight = new InFlight();
  #waiter: (() => void) | undefined;
  #cancelBackoffTimer: (() => void) | undefined;
  #cancelFlushTimer: (() => void) | undefined;

  constructor(deps: QueueDeps, options: QueueOptions) {
    this.#deps = deps;
    this.#options = { maxUnschedulableMs: MAX_UNSCHEDULABLE_MS, ...options };
    this.#active = new ActivePods(deps.less);
    this.#backoff = new KeyedHeap(
      (pod) => pod.info.uid,
      (a, b) => a.readyAt < b.readyAt,
    );
  }

  /** Upstream's `pending_pods` by queue. */
  get sizes(): { active: number; backoff: number; unschedulable: number; gated: number } {
    const gated = this.#unschedulable.gatedCount;
    return {
      active: this.#active.size,
      backoff: this.#backoff.size,
      unschedulable: this.#unschedulable.size - gated,
      gated,
    };
  }

  /** A Pod that was not known before. */
  add(info: PodInfo): void {
    if (this.#find(info.uid) || this.#inFlight.has(info.uid)) return;
    this.#activate(newQueuedPod(info, this.#deps.clock.now()));
  }

  /** The Pod object changed while it waits. `events` says how. */
  update(before: PodInfo, after: PodInfo, events: readonly ClusterEvent[]): void {
    const uid = after.uid;
    if (this.#inFlight.has(uid)) {
      this.#inFlight.record(events, { before: before.pod, after: after.pod }, uid);
      return;
    }
    const active = this.#active.get(uid);
    const waiting = active ?? this.#backoff.get(uid);
    if (waiting) {
      waiting.info = after;
      (active ? this.#active : this.#backoff).set(waiting);
      return;
    }
    const pod = this.#unschedulable.get(uid);
    if (!pod) {
      this.add(after);
      return;
    }
    pod.info = after;
    const change = { before: before.pod, after: after.pod };
    if (pod.gatedBy !== undefined || this.#wakes(pod, events, change)) this.#wake(pod);
  }

  delete(uid: string): void {
    this.#active.delete(uid);
    this.#backoff.delete(uid);
    this.#unschedulable.delete(uid);
    this.#armTimers();
  }

  /** The next Pod to place; waits for one. It is in flight until `done` or `giveBack`. */
  async pop(signal: AbortSignal): Promise<QueuedPod> {
    for (;;) {
      signal.throwIfAborted();
      const pod = this.tryPop();
      if (pod) return pod;
      await new Promise<void>((resolve) => {
        const finish = () => {
          signal.removeEventListener('abort', finish);
          this.#waiter = undefined;
          resolve();
        };
        this.#waiter = finish;
        signal.addEventListener('abort', finish);
      });
    }
  }

  /** A Pod that is ready now. With nothing active, one that still backs off is tried early. */
  tryPop(): QueuedPod | undefined {
    const pod = this.#active.pop() ?? this.#popEarly();
    if (!pod) return undefined;
    pod.attempts++;
    pod.firstAttemptAt ??= this.#deps.clock.now();
    pod.rejectedBy = new Set();
    pod.pendingOn = new Set();
    this.#inFlight.start(pod.info.uid);
    return pod;
  }

  /** The Pod is placed, or gone: forget it. */
  done(uid: string): void {
    this.#inFlight.end(uid);
  }

  /**
   * The Pod found no node, or its attempt failed (`rejectedBy` is empty then). It waits for an event that can
   * help; if one happened while it was in flight, only for its back-off.
   */
  giveBack(pod: QueuedPod): void {
    const { uid } = pod.info;
    if (this.#find(uid)) {
      this.#inFlight.end(uid);
      return;
    }
    const failed = pod.rejectedBy.size === 0 && pod.pendingOn.size === 0;
    pod.errors = failed ? pod.errors + 1 : 0;
    if (!failed) pod.rejections++;
    pod.addedAt = this.#deps.clock.now();
    pod.readyAt = pod.addedAt + this.#backoffMs(pod);
    const helped = this.#inFlight.endWith(uid, ({ events, change }) =>
      this.#wakes(pod, events, change),
    );
    if (failed || helped) {
      this.#wake(pod);
    } else {
      this.#unschedulable.set(pod);
      this.#armTimers();
    }
  }

  /** Something happened: wakes the Pods whom it can help. */
  move(events: readonly ClusterEvent[], change: Change): void {
    this.#inFlight.record(events, change);
    if (this.#unschedulable.size === 0) return;
    const woken = new Set<QueuedPod>();
    for (const plugin of this.#deps.wakes.interestedIn(events)) {
      for (const pod of this.#unschedulable.rejectedBy(plugin)) {
        if (!woken.has(pod) && this.#wakes(pod, events, change)) woken.add(pod);
      }
    }
    for (const pod of woken) this.#wake(pod);
  }

  /** Wakes these Pods at once, whatever they wait for. */
  activate(uids: Iterable<string>): void {
    for (const uid of uids) {
      const pod = this.#unschedulable.get(uid) ?? this.#backoff.delete(uid);
      if (!pod) continue;
      this.#unschedulable.delete(uid);
      this.#activate(pod);
    }
  }

  /** Every Pod that waits, for metrics and records. */
  *pods(): Generator<QueuedPod> {
    yield* this.#active.values();
    yield* this.#backoff.values();
    yield* this.#unschedulable.values();
  }

  close(): void {
    this.#cancelBackoffTimer?.();
    this.#cancelFlushTimer?.();
  }

  #find(uid: string): QueuedPod | undefined {
    return this.#active.get(uid) ?? this.#backoff.get(uid) ?? this.#unschedulable.get(uid);
  }

  #wakes(pod: QueuedPod, events: readonly ClusterEvent[], change: Change): boolean {
    if (pod.gatedBy !== undefined) return this.#deps.wakes.helps(pod.gatedBy, events, pod, change);
    for (const plugin of pod.rejectedBy) {
      if (this.#deps.wakes.helps(plugin, events, pod, change)) return true;
    }
    for (const plugin of pod.pendingOn) {
      if (!this.#deps.wakes.helps(plugin, events, pod, change)) continue;
      pod.readyAt = this.#deps.clock.now(); // what it waited for is there: no punishment
      return true;
    }
    return false;
  }

  #wake(pod: QueuedPod): void {
    this.#unschedulable.delete(pod.info.uid);
    if (pod.readyAt <= this.#deps.clock.now()) {
      this.#activate(pod);
      return;
    }
    this.#backoff.set(pod);
    this.#armTimers();
    if (this.#active.size === 0) this.#waiter?.();
  }

  #activate(pod: QueuedPod): void {
    pod.gatedBy = this.#deps.gate(pod.info);
    if (pod.gatedBy !== undefined) {
      this.#unschedulable.set(pod);
      return;
    }
    this.#active.set(pod);
    this.#waiter?.();
  }

  #popEarly(): QueuedPod | undefined {
    // A failure (not a rejection) must keep its back-off: trying again at once would hammer what failed.
    const ready = this.#backoff.peek();
    if (!ready || ready.errors > 0) return undefined;
    this.#backoff.delete(ready.info.uid);
    ready.gatedBy = this.#deps.gate(ready.info);
    if (ready.gatedBy === undefined) return ready;
    this.#unschedulable.set(ready);
    return this.#popEarly();
  }

  #backoffMs(pod: QueuedPod): number {
    const count = pod.errors > 0 ? pod.errors : pod.rejections;
    if (count === 0) return 0;
    return Math.min(
      this.#options.initialBackoffMs * 2 ** Math.min(count - 1, 30),
      this.#options.maxBackoffMs,
    );
  }

  #armTimers(): void {
    const { clock } = this.#deps;
    this.#cancelBackoffTimer?.();
    const next = this.#backoff.peek();
    if (next) {
      const wait = Math.max(0, next.readyAt - clock.now());
      this.#cancelBackoffTimer = clock.after(wait, () => this.#endBackoffs());
    }
    if (this.#unschedulable.size > 0 && !this.#cancelFlushTimer) {
      this.#cancelFlushTimer = clock.after(FLUSH_PERIOD_MS, () => this.#flush());
    }
  }

  #endBackoffs(): void {
    const now = this.#deps.clock.now();
    for (let pod = this.#backoff.peek(); pod && pod.readyAt <= now; pod = this.#backoff.peek()) {
      this.#backoff.pop();
      this.#activate(pod);
    }
    this.#armTimers();
  }

  /** Nothing that can be missed may hold a Pod back for ever. */
  #flush(): void {
    this.#cancelFlushTimer = undefined;
    const before = this.#deps.clock.now() - this.#options.maxUnschedulableMs;
    for (const pod of [...this.#unschedulable.values()]) {
      if (pod.gatedBy === undefined && pod.addedAt <= before) this.#wake(pod);
    }
    this.#armTimers();
  }
}
