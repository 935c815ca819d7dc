import type { Clock } from '../util/clock.ts';

/** Something that has gathered output. */
export interface Flushable {
  flush(): void;
}

// What is flushed in one turn of the event loop, so that an event for very many does not hold up requests.
const PER_TURN = 50;
// When more than that were flushed one after another, none of them is flushed again before so many milliseconds have gone
// by for each of them: 30 ms when there are 1,000. A write costs more than what is in it. Nobody waits longer than the most.
const REST_MS_PER_STREAM = 0.03;
const MOST_REST_MS = 50;

/**
 * Flushes what has gathered output, some in each turn of the event loop. When very many get events at a high rate, each of
 * them is sent several at once: the more there are, the fewer and larger the writes. Who had nothing for a while never waits.
 */
export class FlushQueue {
  readonly #clock: Clock;
  /** In the order in which they came. */
  readonly #waiting = new Set<Flushable>();
  /** Those that were flushed in the round that goes on, or rest behind it. */
  readonly #flushed = new Set<Flushable>();
  /** Those of them that have gathered more. */
  readonly #later = new Set<Flushable>();
  #began = 0;
  #isScheduled = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(stream: Flushable): void {
    if (this.#flushed.has(stream)) {
      this.#later.add(stream);
      return;
    }
    this.#waiting.add(stream);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#flushSome();
    });
  }

  #flushSome(): void {
    if (this.#flushed.size === 0) this.#began = this.#clock.now();
    let left = PER_TURN;
    for (const stream of this.#waiting) {
      this.#waiting.delete(stream);
      this.#flushed.add(stream);
      stream.flush();
      if (--left === 0) break;
    }
    if (this.#waiting.size > 0) this.#schedule();
    else this.#rest();
  }

  /** The round is over: the next one begins at once, unless this one was large. */
  #rest(): void {
    const size = this.#flushed.size;
    const all = Math.min(MOST_REST_MS, size * REST_MS_PER_STREAM);
    // A wall clock that was put back must not make a long rest of it.
    const over = Math.min(all, this.#began + all - this.#clock.now());
    if (size <= PER_TURN || over <= 0) this.#nextRound();
    else this.#clock.after(over, () => this.#nextRound());
  }

  #nextRound(): void {
    this.#flushed.clear();
    for (const stream of this.#later) this.#waiting.add(stream);
    this.#later.clear();
    if (this.#waiting.size > 0) this.#schedule();
  }
}
