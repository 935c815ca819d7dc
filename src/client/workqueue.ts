import type { Clock } from '../util/clock.ts';

/**
 * A queue of keys for workers. Promises (client-go's util/workqueue):
 * fair - keys leave in the order in which they came; stingy - a key waits at most once however often it is added;
 * serial - a key that a worker holds is not given to another, and comes back after `done` if it was added meanwhile;
 * closing - `close` gives every waiting `get` undefined.
 */
export class WorkQueue {
  /** Order of service. Every key in it is also in `#dirty` and not in `#processing`. */
  readonly #queue = new Set<string>();
  /** Keys that need work, waiting or held by a worker. */
  readonly #dirty = new Set<string>();
  /** Keys that a worker holds. */
  readonly #processing = new Set<string>();
  readonly #waiting: ((key: string | undefined) => void)[] = [];
  #closed = false;

  get length(): number {
    return this.#queue.size;
  }

  add(key: string): void {
    if (this.#closed || this.#dirty.has(key)) return;
    this.#dirty.add(key);
    this.entered(key);
    if (!this.#processing.has(key)) this.#offer(key);
  }

  /** A key begins to wait: for those who measure. */
  protected entered(_key: string): void {}

  /** A worker takes it. */
  protected left(_key: string): void {}

  /** The next key, held until `done`; undefined once the queue is closed. */
  get(): Promise<string | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    const first = this.#queue.values().next();
    if (first.done) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#queue.delete(first.value);
    this.#take(first.value);
    return Promise.resolve(first.value);
  }

  done(key: string): void {
    this.#processing.delete(key);
    if (this.#dirty.has(key)) this.#offer(key);
  }

  close(): void {
    this.#closed = true;
    for (const resolve of this.#waiting.splice(0)) resolve(undefined);
  }

  #offer(key: string): void {
    const resolve = this.#waiting.shift();
    if (!resolve) {
      this.#queue.add(key);
      return;
    }
    this.#take(key);
    resolve(key);
  }

  #take(key: string): void {
    this.#dirty.delete(key);
    this.#processing.add(key);
    this.left(key);
  }
}

/** A work queue that also takes keys for later. A key asked for twice comes at the earlier time. */
export class DelayingQueue extends WorkQueue {
  readonly #clock: Clock;
  readonly #timers = new Map<string, { at: number; cancel: () => void }>();

  constructor(clock: Clock) {
    super();
    this.#clock = clock;
  }

  /** How many keys wait for their time. */
  get delayed(): number {
    return this.#timers.size;
  }

  addAfter(key: string, ms: number): void {
    if (ms <= 0) {
      this.add(key);
      return;
    }
    const at = this.#clock.now() + ms;
    const known = this.#timers.get(key);
    if (known && known.at <= at) return;
    known?.cancel();
    const cancel = this.#clock.after(ms, () => {
      this.#timers.delete(key);
      this.add(key);
    });
    this.#timers.set(key, { at, cancel });
  }

  override close(): void {
    for (const { cancel } of this.#timers.values()) cancel();
    this.#timers.clear();
    super.close();
  }
}

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** client-go's DefaultControllerRateLimiter per key: 5 ms, doubling, at most 1000 s. */
const CONTROLLER_BACKOFF: BackoffOptions = { firstMs: 5, maxMs: 1_000_000 };

/** A delaying queue whose failed keys wait longer each time, until `forget`. */
export class RateLimitingQueue extends DelayingQueue {
  readonly #backoff: BackoffOptions;
  readonly #failures = new Map<string, number>();

  constructor(clock: Clock, backoff: BackoffOptions = CONTROLLER_BACKOFF) {
    super(clock);
    this.#backoff = backoff;
  }

  addRateLimited(key: string): void {
    const failures = this.failures(key);
    this.#failures.set(key, failures + 1);
    const { firstMs, maxMs } = this.#backoff;
    this.addAfter(key, Math.min(maxMs, firstMs * 2 ** Math.min(failures, 40)));
  }

  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  forget(key: string): void {
    this.#failures.delete(key);
  }
}

export interface QueueObserver {
  added(): void;
  /** A key was taken after so long. */
  waited(ms: number): void;
}

/** Tells how many keys come, and how long they wait. */
export class MeasuredQueue extends RateLimitingQueue {
  readonly #clock: Clock;
  readonly #observer: QueueObserver;
  readonly #since = new Map<string, number>();

  constructor(deps: { clock: Clock; observer: QueueObserver }, backoff?: BackoffOptions) {
    super(deps.clock, backoff);
    this.#clock = deps.clock;
    this.#observer = deps.observer;
  }

  protected override entered(key: string): void {
    this.#since.set(key, this.#clock.now());
    this.#observer.added();
  }

  protected override left(key: string): void {
    const since = this.#since.get(key);
    this.#since.delete(key);
    if (since !== undefined) this.#observer.waited(this.#clock.now() - since);
  }
}
