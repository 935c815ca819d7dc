/** Something that has gathered output. */
export interface Flushable {
  flush(): void;
}

// What is flushed in one turn of the event loop, so that an event for very many does not hold up requests.
const PER_TURN = 50;

/**
 * Flushes what has gathered output, some in each turn of the event loop. A stream whose turn comes late, because the machine
 * is busy, has gathered more by then, and sends it as one: under load there are fewer and larger writes.
 */
export class FlushQueue {
  /** In the order in which they came. */
  readonly #waiting = new Set<Flushable>();
  #isScheduled = false;

  add(stream: Flushable): void {
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
    let left = PER_TURN;
    for (const stream of this.#waiting) {
      this.#waiting.delete(stream);
      stream.flush();
      if (--left === 0) break;
    }
    if (this.#waiting.size > 0) this.#schedule();
  }
}
