import type { Clock } from '../../util/clock.ts';
import type { Logger } from '../../util/log.ts';
import type { GroupCommit } from './group-commit.ts';
import type { Tables } from './tables.ts';

// Expired keys are removed in one go per so many milliseconds, so that a busy store is not woken for each.
const GRAIN_MS = 5_000;

export interface ExpirerDeps {
  readonly tables: Tables;
  readonly commits: GroupCommit;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Removes the keys whose time is over. Its timer is set for the soonest of them; without any it sleeps. */
export class Expirer {
  readonly #deps: ExpirerDeps;
  #timer: { at: number; cancel: () => void } | undefined;
  #stopped = false;

  constructor(deps: ExpirerDeps) {
    this.#deps = deps;
  }

  start(): void {
    const next = this.#deps.tables.nextExpiry;
    if (next !== undefined) this.arm(next);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** A key is to vanish at this time. */
  arm(at: number): void {
    if (this.#stopped || (this.#timer && this.#timer.at <= at)) return;
    this.#timer?.cancel();
    const { clock, log } = this.#deps;
    const cancel = clock.after(Math.max(0, at - clock.now()), () => {
      this.#timer = undefined;
      this.#expire().catch((err) => {
        log.error({ err }, 'Could not remove expired keys');
        this.arm(clock.now() + GRAIN_MS);
      });
    });
    this.#timer = { at, cancel };
  }

  async #expire(): Promise<void> {
    const { tables, commits, clock } = this.#deps;
    const until = clock.now();
    const due = [...tables.expiriesUntil(until)];
    await commits.run((batch) => {
      for (const { at, revision, key } of due) {
        batch.forgetExpiry(at, revision);
        const head = batch.head(key);
        if (head && !head.removed && head.revision === revision) batch.append(key, undefined, 0);
      }
    });
    const next = tables.nextExpiry;
    if (next !== undefined) this.arm(Math.max(next, until + GRAIN_MS));
  }
}
