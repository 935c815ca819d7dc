import { setTimeout as delay } from 'node:timers/promises';

/** Time as a dependency: product code never calls Date.now() or setTimeout() itself. */
export interface Clock {
  /** Wall clock, milliseconds since the epoch. */
  now(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `fn` once after `ms`; the answer cancels it. The timer does not keep the process alive. */
  after(ms: number, fn: () => void): () => void;
}

// Node's timers hold 31 bits of milliseconds; a longer delay would fire at once.
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Whether it is at least `ms` since then. What a clock that has been set back calls the future, was long ago. */
export function hasPassed(ms: number, since: number, now: number): boolean {
  return now - since >= ms || now < since;
}

export const realClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    delay(Math.min(ms, MAX_TIMER_MS), undefined, signal ? { signal } : undefined),
  after(ms, fn) {
    const timer = setTimeout(fn, Math.min(ms, MAX_TIMER_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
