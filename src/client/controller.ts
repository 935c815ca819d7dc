import { isConflict } from '../api/errors.ts';
import { type ObjectKey, parseKey } from '../api/resource-types.ts';
import { type Clock, realClock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import type { Informer } from './client.ts';
import { keyOf } from './indexer.ts';
import { type BackoffOptions, MeasuredQueue, type RateLimitingQueue } from './workqueue.ts';

/** What a reconcile asks for: nothing, or another look after some time. */
export interface Result {
  readonly requeueAfterMs?: number;
}

export const DONE: Result = {};

/** The key will not get better by trying again: logged, not retried until something about it changes. */
export class TerminalError extends Error {
  override readonly name = 'TerminalError';
}

/**
 * Brings one object's world to what the object asks for. Level-based: it is told only which key, reads the caches,
 * and is safe to run twice. Throwing means "again, later" (with back-off per key); TerminalError means "never".
 */
export interface Reconciler {
  /** Upstream's name of the controller: `replicaset-controller`. */
  readonly name: string;
  reconcile(key: ObjectKey, signal: AbortSignal): Promise<Result>;
}

/** What a controller tells of its work: for metrics. */
export interface ControllerObserver {
  /** It exists; its depth can be asked for at any time. */
  made(controller: { readonly name: string; readonly depth: number }): void;
  added(name: string): void;
  waited(name: string, ms: number): void;
  reconciled(name: string, outcome: 'success' | 'error', ms: number): void;
}

const NOBODY: ControllerObserver = {
  made() {},
  added() {},
  waited() {},
  reconciled() {},
};

export interface ControllerOptions {
  /** Reconciles at the same time, each of another key. */
  readonly workers?: number;
  readonly clock?: Clock;
  readonly backoff?: BackoffOptions;
  readonly observer?: ControllerObserver;
}

/** Informers → keys → queue → workers → `reconcile(key)`. */
export class Controller {
  readonly #reconciler: Reconciler;
  readonly #queue: RateLimitingQueue;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #workers: number;
  readonly #observer: ControllerObserver;
  readonly #sources: { whenSynced(signal: AbortSignal): Promise<void> }[] = [];

  constructor(deps: { reconciler: Reconciler; log: Logger }, options: ControllerOptions = {}) {
    const { workers = 1, clock = realClock, backoff, observer = NOBODY } = options;
    this.#reconciler = deps.reconciler;
    this.#log = deps.log.child({ controller: deps.reconciler.name });
    this.#clock = clock;
    this.#workers = workers;
    this.#observer = observer;
    const { name } = deps.reconciler;
    const measured = {
      added: () => observer.added(name),
      waited: (ms: number) => observer.waited(name, ms),
    };
    this.#queue = new MeasuredQueue({ clock, observer: measured }, backoff);
    observer.made(this);
  }

  get name(): string {
    return this.#reconciler.name;
  }

  /** Keys that wait for a worker. */
  get depth(): number {
    return this.#queue.length;
  }

  enqueue(key: string): void {
    this.#queue.add(key);
  }

  enqueueAfter(key: string, ms: number): void {
    this.#queue.addAfter(key, ms);
  }

  /** Every change of an object enqueues its own key, or the keys that `keysOf` names. */
  watch<T>(informer: Informer<T>, keysOf: (object: T) => Iterable<string> = ownKey): void {
    const enqueue = (object: T) => {
      for (const key of keysOf(object)) this.#queue.add(key);
    };
    informer.addHandler({
      onAdd: enqueue,
      onUpdate: (before, after) => {
        enqueue(before);
        enqueue(after);
      },
      onDelete: enqueue,
    });
    this.needs(informer);
  }

  /** Reconciles begin only when this informer knows its objects. */
  needs(informer: { whenSynced(signal: AbortSignal): Promise<void> }): void {
    this.#sources.push(informer);
  }

  /** Works until aborted; what is under way is finished first. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await Promise.all(this.#sources.map((source) => source.whenSynced(signal)));
    } catch (err) {
      if (signal.aborted) return;
      throw err;
    }
    signal.addEventListener('abort', () => this.#queue.close(), { once: true });
    if (signal.aborted) this.#queue.close();
    await Promise.all(Array.from({ length: this.#workers }, () => this.#work(signal)));
  }

  async #work(signal: AbortSignal): Promise<void> {
    for (;;) {
      const key = await this.#queue.get();
      if (key === undefined) return;
      await this.#process(key, signal);
      this.#queue.done(key);
    }
  }

  async #process(key: string, signal: AbortSignal): Promise<void> {
    const started = this.#clock.now();
    try {
      const { requeueAfterMs } = await this.#reconciler.reconcile(parseKey(key), signal);
      this.#queue.forget(key);
      if (requeueAfterMs !== undefined) this.#queue.addAfter(key, requeueAfterMs);
      this.#observer.reconciled(this.name, 'success', this.#clock.now() - started);
    } catch (err) {
      if (signal.aborted) return;
      this.#observer.reconciled(this.name, 'error', this.#clock.now() - started);
      this.#failed(key, err);
    }
  }

  #failed(key: string, err: unknown): void {
    if (err instanceof TerminalError) {
      this.#log.error({ key, err: errorMessage(err) }, 'Reconcile failed; not retrying');
      this.#queue.forget(key);
      return;
    }
    // A conflict says only that the cache was a moment behind.
    const level = isConflict(err) || this.#queue.failures(key) > 3 ? 'debug' : 'warn';
    this.#log[level]({ key, err: errorMessage(err) }, 'Reconcile failed; retrying');
    this.#queue.addRateLimited(key);
  }
}

function ownKey(object: unknown): string[] {
  return [keyOf(object)];
}
