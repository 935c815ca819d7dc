import type { Clock } from '../util/clock.ts';

/** So that not all come in the same moment when a server is back. */
const SPREAD_MS = 300;

/**
 * How the many watchers of one server wait while nobody answers its door: one knocks again and again, the others wait for
 * its success. Each knock costs a connection, and a process may have a hundred watchers.
 */
export class Door {
  readonly #clock: Clock;
  #knocking = false;
  #open = Promise.withResolvers<void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when it is time to try again: after `knockMs` for the one who knocks, for others when it has opened, or after `waitMs`. */
  async wait(knockMs: number, waitMs: number, signal: AbortSignal): Promise<void> {
    if (this.#knocking) return this.#untilOpen(waitMs, signal);
    this.#knocking = true;
    try {
      await this.#clock.sleep(knockMs, signal).catch(() => {});
    } finally {
      this.#knocking = false;
    }
  }

  /** Somebody had an answer. */
  opened(): void {
    this.#open.resolve();
    this.#open = Promise.withResolvers();
  }

  async #untilOpen(waitMs: number, signal: AbortSignal): Promise<void> {
    const enough = new AbortController();
    const patience = this.#clock.sleep(waitMs, AbortSignal.any([signal, enough.signal]));
    const opened = this.#open.promise.then(() =>
      this.#clock.sleep(Math.random() * SPREAD_MS, signal),
    );
    await Promise.race([patience, opened]).catch(() => {});
    enough.abort();
    // The one that lost the race must not be the process's end.
    await Promise.allSettled([patience]);
    opened.catch(() => {});
  }
}
