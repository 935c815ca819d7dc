import { type Clock, realClock } from './clock.ts';

interface Timer {
  at: number;
  fn: () => void;
}

/** A clock that moves only when told to: `await clock.advance(1000)` runs every timer due by then, in order. */
export class FakeClock implements Clock {
  #now: number;
  /** Until when it moves now. */
  #end = 0;
  readonly #timers = new Set<Timer>();

  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const cancel = this.after(ms, resolve);
      signal?.addEventListener('abort', () => {
        cancel();
        reject(signal.reason);
      });
    });
  }

  after(ms: number, fn: () => void): () => void {
    const timer = { at: this.#now + ms, fn };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Somebody sets the clock: what waits, waits as long as before. */
  jump(ms: number): void {
    this.#now += ms;
    this.#end += ms;
    for (const timer of this.#timers) timer.at += ms;
  }

  /** How many timers wait. */
  get pending(): number {
    return this.#timers.size;
  }

  async advance(ms: number): Promise<void> {
    this.#end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter((t) => t.at <= this.#end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#timers.delete(due);
      this.#now = due.at;
      due.fn();
      await settle();
    }
    this.#now = this.#end;
    await settle();
  }
}

/** Lets every promise that is already resolved run its reactions. */
async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

/**
 * Lets the clock go on by `stepMs` every few milliseconds, until the answer is called. A process that is held up holds up
 * its time, too: nothing is late that would not be late on a faster machine.
 */
export function drive(clock: FakeClock, stepMs: number): () => Promise<void> {
  let going = true;
  const driving = (async () => {
    while (going) {
      await clock.advance(stepMs);
      await realClock.sleep(4);
    }
  })();
  return () => {
    going = false;
    return driving;
  };
}
