import type { Clock } from './clock.ts';

interface Entry {
  delayMs: number;
  /** When the delay was last set. */
  since: number;
}

/**
 * Delays that double per key, from `firstMs` to `maxMs`, and are forgotten when nothing failed for twice the
 * maximum (client-go's flowcontrol.Backoff).
 */
export class Backoff {
  readonly #entries = new Map<string, Entry>();
  readonly #options: { clock: Clock; firstMs: number; maxMs: number };

  constructor(options: { clock: Clock; firstMs: number; maxMs: number }) {
    this.#options = options;
  }

  /** Milliseconds still to wait after a failure at `failedAt`; 0 when the next try may go ahead. */
  remaining(key: string, failedAt: number): number {
    const entry = this.#alive(key, failedAt);
    if (!entry) return 0;
    const left = failedAt + entry.delayMs - this.#options.clock.now();
    // A failure that lies so far ahead was told by a clock that has been set back since.
    return left > 2 * entry.delayMs ? 0 : Math.max(0, left);
  }

  delay(key: string): number {
    return this.#entries.get(key)?.delayMs ?? 0;
  }

  /** A try begins (or has failed) now: the next one waits twice as long. */
  next(key: string, failedAt: number): void {
    const { clock, firstMs, maxMs } = this.#options;
    const entry = this.#alive(key, failedAt);
    const delayMs = entry ? Math.min(entry.delayMs * 2, maxMs) : firstMs;
    this.#entries.set(key, { delayMs, since: clock.now() });
  }

  forget(prefix: string): void {
    for (const key of this.#entries.keys()) {
      if (key.startsWith(prefix)) this.#entries.delete(key);
    }
  }

  #alive(key: string, failedAt: number): Entry | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    return failedAt - entry.since > 2 * this.#options.maxMs ? undefined : entry;
  }
}

/** Go's rendering of a duration in whole seconds: `10s`, `1m20s`, `5m0s`. */
export function goDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes === 0) return `${seconds}s`;
  if (minutes < 60) return `${minutes}m${seconds % 60}s`;
  return `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds % 60}s`;
}
