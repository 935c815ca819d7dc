import type { Clock } from '../../util/clock.ts';

/** How many requests of a priority level may run at once, and where the others wait. */
export interface LevelLimits {
  /** Requests at once. */
  readonly seats: number;
  /** Absent: what finds no seat is rejected. */
  readonly queuing?:
    | { readonly queues: number; readonly handSize: number; readonly queueLengthLimit: number }
    | undefined;
}

export type Rejection = 'concurrency-limit' | 'queue-full' | 'time-out' | 'cancelled';

/** No seat was to be had. */
export class RejectedError extends Error {
  override readonly name = 'RejectedError';
  readonly reason: Rejection;

  constructor(reason: Rejection) {
    super(`Rejected: ${reason}`);
    this.reason = reason;
  }
}

/** A request that waits. */
export interface Waiting {
  readonly flow: string;
  readonly schema: string;
  /** Milliseconds since the epoch. */
  readonly arrived: number;
  readonly queue: number;
}

interface Waiter extends Waiting {
  admit(): void;
}

export interface Queue {
  readonly index: number;
  readonly waiting: Waiter[];
  executing: number;
  /** Seconds of work that this queue was given, on the level's common scale: the one with the least is next. */
  virtualStart: number;
}

/** What a request is thought to take before it is known, in seconds (upstream's G). */
const GUESS_SECONDS = 0.003;
// A quarter of upstream's request timeout.
const MAX_WAIT_MS = 15_000;

/**
 * One priority level: seats, and queues before them. Flows are dealt a hand of queues each (shuffle sharding), so that one
 * flow fills a few queues and leaves the others free; the queues take turns by the work that they have had (start-time
 * fair queuing), so that many requests of one flow do not delay the few of another.
 * See https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
 */
export class FairQueue {
  readonly queues: Queue[] = [];
  executing = 0;
  waiting = 0;
  readonly counts = { dispatched: 0, rejected: 0, timedOut: 0, cancelled: 0 };
  readonly #clock: Clock;
  #limits: LevelLimits;
  #virtualTime = 0;

  constructor(limits: LevelLimits, clock: Clock) {
    this.#clock = clock;
    this.#limits = limits;
    this.#fitQueues();
  }

  get limits(): LevelLimits {
    return this.#limits;
  }

  /** New limits count from now on; what waits keeps its place. */
  set limits(limits: LevelLimits) {
    this.#limits = limits;
    this.#fitQueues();
    this.#dispatch();
  }

  /** Resolves when the request may run; call what it answers when it has. Rejects with RejectedError. */
  acquire(
    of: { flow: string; schema: string },
    signal: AbortSignal,
  ): Promise<() => void> | (() => void) {
    const queue = this.#queueFor(of.flow);
    if (this.executing < this.#limits.seats && this.waiting === 0) return this.#start(queue);
    const { queuing } = this.#limits;
    if (!queuing || !queue) return this.#reject('concurrency-limit');
    if (queue.waiting.length >= queuing.queueLengthLimit) return this.#reject('queue-full');
    return this.#wait(queue, of, signal);
  }

  #wait(
    queue: Queue,
    { flow, schema }: { flow: string; schema: string },
    signal: AbortSignal,
  ): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const leave = (reason: 'time-out' | 'cancelled'): void => {
        const at = queue.waiting.indexOf(waiter);
        if (at < 0) return;
        queue.waiting.splice(at, 1);
        this.waiting--;
        end();
        this.counts[reason === 'time-out' ? 'timedOut' : 'cancelled']++;
        reject(new RejectedError(reason));
      };
      const stopTimer = this.#clock.after(MAX_WAIT_MS, () => leave('time-out'));
      const onAbort = (): void => leave('cancelled');
      const end = (): void => {
        stopTimer();
        signal.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter = {
        ...{ flow, schema, arrived: this.#clock.now(), queue: queue.index },
        admit: () => {
          end();
          resolve(this.#start(queue));
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      // Who was idle has saved nothing up.
      if (queue.waiting.length === 0 && queue.executing === 0) {
        queue.virtualStart = Math.max(queue.virtualStart, this.#virtualTime);
      }
      queue.waiting.push(waiter);
      this.waiting++;
    });
  }

  #start(queue: Queue | undefined): () => void {
    this.executing++;
    this.counts.dispatched++;
    if (queue) {
      queue.executing++;
      queue.virtualStart += GUESS_SECONDS;
    }
    const started = this.#clock.now();
    let isDone = false;
    return () => {
      if (isDone) return;
      isDone = true;
      this.executing--;
      if (queue) {
        queue.executing--;
        queue.virtualStart += (this.#clock.now() - started) / 1000 - GUESS_SECONDS;
      }
      this.#dispatch();
    };
  }

  #dispatch(): void {
    while (this.executing < this.#limits.seats && this.waiting > 0) {
      const queue = this.#next();
      const waiter = queue?.waiting.shift();
      if (!queue || !waiter) return;
      this.#virtualTime = Math.max(this.#virtualTime, queue.virtualStart);
      this.waiting--;
      waiter.admit();
    }
  }

  /** The waiting queue that has had the least. */
  #next(): Queue | undefined {
    let best: Queue | undefined;
    for (const queue of this.queues) {
      if (queue.waiting.length === 0) continue;
      if (!best || queue.virtualStart < best.virtualStart) best = queue;
    }
    return best;
  }

  /** The least loaded queue of the flow's hand. */
  #queueFor(flow: string): Queue | undefined {
    const { queuing } = this.#limits;
    if (!queuing) return undefined;
    let best: Queue | undefined;
    for (const index of handOf(flow, queuing.queues, queuing.handSize)) {
      const queue = this.queues[index];
      if (queue && (!best || load(queue) < load(best))) best = queue;
    }
    return best;
  }

  #fitQueues(): void {
    const wanted = this.#limits.queuing?.queues ?? 0;
    // Queues beyond the wanted ones are not dealt any more, but emptied in their turn.
    while (this.queues.length > wanted && this.queues.at(-1)?.waiting.length === 0) {
      this.queues.pop();
    }
    for (let index = this.queues.length; index < wanted; index++) {
      this.queues.push({ index, waiting: [], executing: 0, virtualStart: this.#virtualTime });
    }
  }

  #reject(reason: Rejection): never {
    this.counts.rejected++;
    throw new RejectedError(reason);
  }
}

function load({ waiting, executing }: Queue): number {
  return waiting.length + executing;
}

/** `size` different numbers below `deck`, always the same for one flow. */
export function handOf(flow: string, deck: number, size: number): number[] {
  let hash = fnv(flow);
  const hand: number[] = [];
  for (let i = 0; i < Math.min(size, deck); i++) {
    const left = deck - i;
    let card = hash % left;
    hash = mix(hash);
    // The card-th of those that were not dealt yet.
    for (const dealt of hand.toSorted((a, b) => a - b)) if (dealt <= card) card++;
    hand.push(card);
  }
  return hand;
}

function fnv(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  return mix(hash);
}

function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b) >>> 0;
  return (hash ^ (hash >>> 16)) >>> 0;
}
