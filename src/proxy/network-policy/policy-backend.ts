import type { Isolation } from './isolation.ts';

/** Makes the kernel hold back what the policies do not allow. It owns only what bears its names. Calls never overlap. */
export interface PolicyBackend {
  /**
   * Makes the kernel match. `full`: trust nothing that was written before, look and repair. When it rejects, the next
   * call is made with `full`.
   */
  sync(
    isolations: readonly Isolation[],
    options: { full: boolean },
    signal: AbortSignal,
  ): Promise<void>;
  /** False when somebody removed our rules since the last sync. */
  intact(signal: AbortSignal): Promise<boolean>;
  /** Removes everything that this backend, in this process or an earlier one, put into the kernel. */
  cleanup(signal: AbortSignal): Promise<void>;
}
