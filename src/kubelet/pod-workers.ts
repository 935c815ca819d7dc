import type { Pod } from '../api/types.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import { podKey } from './names.ts';
import { type Failure, newPodState, type PodState } from './pod-state.ts';
import { isFinal } from './pod-status.ts';

/** What a worker does with its pod; each step is safe to repeat. */
export interface PodStages {
  /** Works on a pod that is to run. `over` when it has ended for good. */
  sync(
    state: PodState,
    signal: AbortSignal,
  ): Promise<{ over: boolean; retryMs: number | undefined }>;
  /** Stops everything of a pod that is to end. */
  terminate(state: PodState, signal: AbortSignal): Promise<void>;
  /** Takes away what an ended pod leaves. */
  finish(state: PodState, signal: AbortSignal): Promise<void>;
  /** A pod that ended is asked to go from the API, or is gone from it. */
  release(state: PodState, signal: AbortSignal): Promise<void>;
  /** Tells the pod's status as it is now. */
  tell(state: PodState): unknown;
}

type Stage = 'sync' | 'terminating' | 'terminated' | 'released';

interface Worker {
  state: PodState;
  stage: Stage;
  dirty: boolean;
  running: boolean;
  /** Ends the step under way: what it does is no longer wanted. */
  step: AbortController;
  cancelTimer: () => void;
  failures: number;
}

const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 10_000;

export interface PodWorkersDeps {
  stages: PodStages;
  clock: Clock;
  log: Logger;
  /** Nothing of the pod is left, neither here nor in its source. */
  onGone(uid: string): void;
}

/**
 * One serial worker per pod: syncing, then terminating, then terminated; never back. Whoever sees a change only
 * wakes the worker, which looks at everything anew.
 */
export class PodWorkers {
  readonly #deps: PodWorkersDeps;
  readonly #workers = new Map<string, Worker>();
  #stopped = false;

  constructor(deps: PodWorkersDeps) {
    this.#deps = deps;
  }

  /** A source has a new or changed pod. */
  update(pod: Pod): void {
    const worker = this.#workers.get(pod.metadata.uid) ?? this.#create(pod);
    const before = worker.state.pod;
    worker.state.pod = pod;
    worker.state.removed = false;
    const shortened =
      worker.stage === 'terminating' &&
      (pod.metadata.deletionGracePeriodSeconds ?? Infinity) <
        (before.metadata.deletionGracePeriodSeconds ?? Infinity);
    if (shortened) worker.step.abort(new Error('The grace period was shortened'));
    this.#advance(worker);
    this.wake(pod.metadata.uid);
  }

  /** No source has the pod any more: whatever runs of it is stopped and everything is taken away. */
  remove(uid: string): void {
    const worker = this.#workers.get(uid);
    if (!worker) return;
    worker.state.removed = true;
    this.#advance(worker);
    this.wake(uid);
  }

  /** Ends a pod that nobody has asked to end: eviction, deadline. */
  fail(uid: string, failure: Failure): void {
    const worker = this.#workers.get(uid);
    if (!worker || worker.state.failure) return;
    worker.state.failure = failure;
    this.#advance(worker);
    this.wake(uid);
  }

  wake(uid: string): void {
    const worker = this.#workers.get(uid);
    if (!worker || this.#stopped) return;
    worker.dirty = true;
    if (!worker.running) void this.#work(worker);
  }

  /** Its probes have found something out. Of a pod that ends it is told at once: its worker waits for the end. */
  probed(uid: string): void {
    const worker = this.#workers.get(uid);
    if (worker?.stage === 'terminating') this.#deps.stages.tell(worker.state);
    this.wake(uid);
  }

  /** Works out its status anew. */
  tell(uid: string): void {
    const worker = this.#workers.get(uid);
    if (worker) this.#deps.stages.tell(worker.state);
  }

  get(uid: string): PodState | undefined {
    return this.#workers.get(uid)?.state;
  }

  /** Every pod that a source has or that still leaves something behind. */
  list(): PodState[] {
    return [...this.#workers.values()].map((w) => w.state);
  }

  /** Pods that are to run or are running; what admission counts. */
  active(): PodState[] {
    const busy = [...this.#workers.values()].filter(
      (w) => w.stage === 'sync' || w.stage === 'terminating',
    );
    return busy.map((w) => w.state);
  }

  /** Pods that are to run and have not been asked to end. */
  staying(): Pod[] {
    const staying = [...this.#workers.values()].filter((w) => w.stage === 'sync');
    return staying.map((w) => w.state.pod);
  }

  /** Nothing runs of the pod, and its volumes and its control group are gone. */
  isCleared(uid: string): boolean {
    const stage = this.#workers.get(uid)?.stage;
    return stage !== 'sync' && stage !== 'terminating';
  }

  isTerminating(uid: string): boolean {
    const stage = this.#workers.get(uid)?.stage;
    return stage !== undefined && stage !== 'sync';
  }

  /** Ends the steps under way and starts no more; containers are left as they are. */
  stop(): void {
    this.#stopped = true;
    for (const worker of this.#workers.values()) {
      worker.cancelTimer();
      worker.step.abort(new DOMException('The kubelet stops', 'AbortError'));
    }
  }

  #create(pod: Pod): Worker {
    const worker: Worker = {
      state: newPodState(pod),
      stage: 'sync',
      dirty: false,
      running: false,
      step: new AbortController(),
      cancelTimer: () => {},
      failures: 0,
    };
    this.#workers.set(pod.metadata.uid, worker);
    return worker;
  }

  #advance(worker: Worker): void {
    const { pod, failure, removed, over } = worker.state;
    // Whoever wrote a phase that nothing leads out of: nothing of the pod is to run any more.
    const ended = isFinal(pod.status?.phase);
    const ends =
      pod.metadata.deletionTimestamp !== undefined || failure || removed || over || ended;
    if (worker.stage !== 'sync' || !ends) return;
    worker.stage = 'terminating';
    worker.step.abort(new Error('The pod is to end'));
  }

  async #work(worker: Worker): Promise<void> {
    const { log, clock } = this.#deps;
    const { uid } = worker.state;
    worker.running = true;
    try {
      while (worker.dirty && !this.#stopped) {
        worker.dirty = false;
        worker.cancelTimer();
        worker.step = new AbortController();
        const { signal } = worker.step;
        try {
          const retryMs = await this.#step(worker, signal);
          worker.failures = 0;
          if (retryMs !== undefined)
            worker.cancelTimer = clock.after(retryMs, () => this.wake(uid));
        } catch (err) {
          if (signal.aborted) {
            worker.dirty = true;
            continue;
          }
          worker.failures++;
          log.warn({ pod: podKey(worker.state.pod), err: errorMessage(err) }, 'Pod sync failed');
          const wait = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (worker.failures - 1));
          worker.cancelTimer = clock.after(wait, () => this.wake(uid));
        }
      }
    } finally {
      worker.running = false;
    }
  }

  async #step(worker: Worker, signal: AbortSignal): Promise<number | undefined> {
    const { stages } = this.#deps;
    const { state } = worker;
    if (worker.stage === 'sync') {
      const { over, retryMs } = await stages.sync(state, signal);
      if (!over) return retryMs;
      state.over = true;
      this.#advance(worker);
      worker.dirty = true;
      return undefined;
    }
    if (worker.stage === 'terminating') {
      await stages.terminate(state, signal);
      await stages.finish(state, signal);
      worker.stage = 'terminated';
    }
    const gone = state.removed || state.pod.metadata.deletionTimestamp !== undefined;
    if (worker.stage === 'terminated' && gone) {
      await stages.release(state, signal);
      worker.stage = 'released';
    }
    if (worker.stage === 'released' && state.removed) {
      this.#workers.delete(state.uid);
      this.#deps.onGone(state.uid);
    }
    return undefined;
  }
}
