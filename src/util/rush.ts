import type { Clock } from './clock.ts';

export interface RushOptions {
  /** More of it than that at once is a rush. */
  readonly few: number;
  /** Milliseconds with no more than that after which the rush is over. */
  readonly calmMs: number;
}

/** Tells when much of one kind of work is done at once, so that what matters less may wait until it is over. */
export class Rush {
  readonly #clock: Clock;
  readonly #options: RushOptions;
  #underWay = 0;
  #isOn = false;
  #cancelEnd = (): void => {};
  readonly #waiting = new Set<() => void>();

  /** `clock` passes evenly. */
  constructor(clock: Clock, options: RushOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** Resolves when there is no rush, or when aborted. */
  over(signal: AbortSignal): Promise<void> {
    if (!this.#isOn || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const resume = (): void => {
        this.#waiting.delete(resume);
        signal.removeEventListener('abort', resume);
        resolve();
      };
      this.#waiting.add(resume);
      signal.addEventListener('abort', resume);
    });
  }

  /** Work of that kind, with its outcome. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    const { few, calmMs } = this.#options;
    this.#underWay++;
    if (this.#underWay > few) {
      this.#cancelEnd();
      this.#isOn = true;
    }
    try {
      return await work();
    } finally {
      this.#underWay--;
      if (this.#underWay === few) {
        this.#cancelEnd = this.#clock.after(calmMs, () => this.#end());
      }
    }
  }

  #end(): void {
    this.#isOn = false;
    for (const resume of [...this.#waiting]) resume();
  }
}
