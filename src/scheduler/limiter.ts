/** At most so many calls to the API server at once; the rest wait their turn, in order. */
export class Limiter {
  readonly #limit: number;
  readonly #waiting: (() => void)[] = [];
  readonly #running = new Set<Promise<void>>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get busy(): number {
    return this.#running.size + this.#waiting.length;
  }

  /** `work` must not reject: nobody waits for it. */
  start(work: () => Promise<void>): void {
    if (this.#running.size < this.#limit) this.#run(work);
    else this.#waiting.push(() => this.#run(work));
  }

  /** `work` in its turn; the answer is its own. */
  run<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.start(() => work().then(resolve, reject));
    });
  }

  /** Resolves when nothing runs or waits. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.race(this.#running);
  }

  #run(work: () => Promise<void>): void {
    const running = work().finally(() => {
      this.#running.delete(running);
      this.#waiting.shift()?.();
    });
    this.#running.add(running);
  }
}
