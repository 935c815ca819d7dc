/**
 * Lets what is to be done begin at once, as long as it is little. Of very much that comes together, some begins in each turn
 * of the event loop, in its order: so everything else gets its turn between.
 */
export class Turns {
  readonly #perTurn: number;
  #waiting: (() => void)[] = [];
  #left: number;
  #isScheduled = false;

  constructor(perTurn: number) {
    this.#perTurn = perTurn;
    this.#left = perTurn;
  }

  /** Resolves when it is the caller's turn; nothing to wait for when that is now. */
  next(): Promise<void> | undefined {
    this.#schedule();
    if (this.#left > 0 && this.#waiting.length === 0) {
      this.#left--;
      return undefined;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      const now = this.#waiting.splice(0, this.#perTurn);
      this.#left = this.#perTurn - now.length;
      if (this.#waiting.length > 0) this.#schedule();
      for (const begin of now) begin();
    });
  }
}
