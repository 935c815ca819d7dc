import type { Clock } from '../../util/clock.ts';
import { SeatDemand } from './seat-demand.ts';
import type { Work } from './work.ts';

/** How many requests of a priority level may run at once, and where the others wait. */
export interface LevelLimits {
  /** Seats at once: requests, but for those that take several. */
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
  /** Seats that it takes. */
  readonly width: number;
}

/** What is known of a request: its flow, the schema that it matched, what it takes (one seat unless said). */
export interface Asked extends Partial<Work> {
  readonly flow: string;
  readonly schema: string;
}

interface Waiter extends Waiting {
  admit(): void;
}

export interface Queue {
  readonly index: number;
  readonly waiting: Waiter[];
  executing: number;
  /** Of those that execute. */
  seats: number;
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
  /** Taken by those that execute. */
  seatsInUse = 0;
  /** In use or waited for. */
  readonly demand: SeatDemand;
  #seatsWaiting = 0;
  readonly counts = { dispatched: 0, rejected: 0, timedOut: 0, cancelled: 0 };
  readonly #clock: Clock;
  #limits: LevelLimits;
  #virtualTime = 0;

  constructor(limits: LevelLimits, clock: Clock) {
    this.#clock = clock;
    this.demand = new SeatDemand(clock);
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
  acquire(of: Asked, signal: AbortSignal): Promise<() => void> | (() => void) {
    const queue = this.#queueFor(of.flow);
    if (this.hasRoom(of.width)) return this.#start(queue, of);
    const { queuing } = this.#limits;
    if (!queuing || !queue) return this.#reject('concurrency-limit');
    if (queue.waiting.length >= queuing.queueLengthLimit) return this.#reject('queue-full');
    return this.#wait(queue, of, signal);
  }

  /** Whether a request would run at once. */
  hasRoom(width = 1): boolean {
    return this.waiting === 0 && this.#fits(width);
  }

  /** Who needs more seats than there are, runs when it has them all. */
  #fits(width: number): boolean {
    const { seats } = this.#limits;
    return this.seatsInUse + width <= seats || (seats > 0 && this.seatsInUse === 0);
  }

  #wait(
    queue: Queue,
    { flow, schema, width = 1, after }: Asked,
    signal: AbortSignal,
  ): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const leave = (reason: 'time-out' | 'cancelled'): void => {
        const at = queue.waiting.indexOf(waiter);
        if (at < 0) return;
        queue.waiting.splice(at, 1);
        this.#waitingChanged(-1, -width);
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
        ...{ flow, schema, width, arrived: this.#clock.now(), queue: queue.index },
        admit: () => {
          end();
          resolve(this.#start(queue, { width, after }));
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      // Who was idle has saved nothing up.
      if (queue.waiting.length === 0 && queue.executing === 0) {
        queue.virtualStart = Math.max(queue.virtualStart, this.#virtualTime);
      }
      queue.waiting.push(waiter);
      this.#waitingChanged(1, width);
    });
  }

  #waitingChanged(requests: number, seats: number): void {
    this.waiting += requests;
    this.#seatsWaiting += seats;
    this.demand.set(this.seatsInUse + this.#seatsWaiting);
  }

  #executingChanged(requests: number, seats: number, queue: Queue | undefined): void {
    this.executing += requests;
    this.seatsInUse += seats;
    if (queue) {
      queue.executing += requests;
      queue.seats += seats;
    }
    this.demand.set(this.seatsInUse + this.#seatsWaiting);
  }

  #start(queue: Queue | undefined, { width = 1, after }: Partial<Work>): () => void {
    this.#executingChanged(1, width, queue);
    this.counts.dispatched++;
    if (queue) queue.virtualStart += width * GUESS_SECONDS;
    const started = this.#clock.now();
    let isDone = false;
    return () => {
      if (isDone) return;
      isDone = true;
      const kept = after?.seats ?? 0;
      this.#executingChanged(-1, kept - width, queue);
      const took = (this.#clock.now() - started) / 1000;
      if (queue) queue.virtualStart += width * (took - GUESS_SECONDS);
      if (after) this.#keep(queue, after);
      if (kept < width) this.#dispatch();
    };
  }

  /** The request is answered, but what it has set off still takes its seats. */
  #keep(queue: Queue | undefined, { seats, milliseconds }: NonNullable<Work['after']>): void {
    if (queue) queue.virtualStart += (seats * milliseconds) / 1000;
    this.#clock.after(milliseconds, () => {
      this.#executingChanged(0, -seats, queue);
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.waiting > 0) {
      const queue = this.#next();
      const [waiter] = queue?.waiting ?? [];
      // Whose turn it is, keeps it until there is room: others would else run past it for ever.
      if (!queue || !waiter || !this.#fits(waiter.width)) return;
      queue.waiting.shift();
      this.#virtualTime = Math.max(this.#virtualTime, queue.virtualStart);
      this.#waitingChanged(-1, -waiter.width);
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
      this.queues.push({
        ...{ index, waiting: [], executing: 0, seats: 0 },
        virtualStart: this.#virtualTime,
      });
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
