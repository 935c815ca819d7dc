// So many requests begin in one turn of the event loop.
const PER_TURN = 32;

/**
 * Begins what comes in at once, as long as little does. Of very many requests that arrive together, some begin in each turn
 * of the event loop, in their order: so answers, watches and timers get their turn between them.
 */
export class Turns {
  #waiting: (() => void)[] = [];
  #left = PER_TURN;
  #isScheduled = false;

  run(begin: () => void): void {
    this.#schedule();
    if (this.#left > 0 && this.#waiting.length === 0) {
      this.#left--;
      begin();
    } else this.#waiting.push(begin);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      const now = this.#waiting.splice(0, PER_TURN);
      this.#left = PER_TURN - now.length;
      if (this.#waiting.length > 0) this.#schedule();
      for (const begin of now) begin();
    });
  }
}
