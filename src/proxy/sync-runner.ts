import type { Clock } from '../util/clock.ts';

export interface SyncRunnerOptions {
  /** Milliseconds from the start of one run to the start of the next, at least. A burst becomes one run. */
  readonly minIntervalMs: number;
  /** Milliseconds after which it runs even though nobody asked. */
  readonly maxIntervalMs: number;
}

/**
 * Runs one job when asked: at once if the last run is long enough ago, else as soon as it is. Runs never
 * overlap, and what is asked for during a run gets a run of its own afterwards.
 */
export class SyncRunner {
  readonly #job: () => Promise<void>;
  readonly #clock: Clock;
  readonly #options: SyncRunnerOptions;
  #asked = false;
  #wake: () => void = () => {};

  constructor(job: () => Promise<void>, clock: Clock, options: SyncRunnerOptions) {
    this.#job = job;
    this.#clock = clock;
    this.#options = options;
  }

  /** Asks for a run. */
  request(): void {
    this.#asked = true;
    this.#wake();
  }

  /** Works until aborted. The job must not reject. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    while (!signal.aborted) {
      await this.#waitForWork();
      if (signal.aborted) return;
      this.#asked = false;
      const started = this.#clock.now();
      await this.#job();
      const rest = started + this.#options.minIntervalMs - this.#clock.now();
      if (rest > 0 && !signal.aborted) await this.#pause(rest, signal);
    }
  }

  async #waitForWork(): Promise<void> {
    if (this.#asked) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(this.#options.maxIntervalMs, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
    this.#wake = () => {};
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    await this.#clock.sleep(ms, signal).catch(() => {});
  }
}
