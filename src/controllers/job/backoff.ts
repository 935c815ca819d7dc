import type { Pod } from '../../api/types.ts';
import { earlierFailures, endOf } from './job-pods.ts';

const FIRST_MS = 10_000;
const MAX_MS = 600_000;

interface Failures {
  readonly count: number;
  readonly lastAt: number;
}

/** Milliseconds to wait before the Pod of an index that has failed last is replaced, 0 when it may be. Pure. */
export function waitToReplace(failed: Pod, now: number): number {
  const { counted, ignored } = earlierFailures(failed);
  return Math.max(0, endOf(failed) + delayAfter(counted + ignored + 1) - now);
}

function delayAfter(failures: number): number {
  return Math.min(MAX_MS, FIRST_MS * 2 ** (failures - 1));
}

/** How long a Job waits before it replaces failed Pods: 10 s, doubling with each failure since the last success. */
export class JobBackoff {
  readonly #byKey = new Map<string, Failures>();

  note(key: string, ended: { succeeded: readonly Pod[]; failed: readonly Pod[] }): void {
    const { succeeded, failed } = ended;
    const lastSuccess = Math.max(...succeeded.map(endOf));
    const since = failed.map(endOf).filter((at) => at > lastSuccess);
    const before = succeeded.length > 0 ? undefined : this.#byKey.get(key);
    if (since.length > 0) {
      const count = (before?.count ?? 0) + since.length;
      this.#byKey.set(key, { count, lastAt: Math.max(...since) });
    } else if (!before) {
      this.#byKey.delete(key);
    }
  }

  /** Milliseconds to wait, 0 when it may go on. */
  remaining(key: string, now: number): number {
    const failures = this.#byKey.get(key);
    if (!failures) return 0;
    return Math.max(0, failures.lastAt + delayAfter(failures.count) - now);
  }

  forget(key: string): void {
    this.#byKey.delete(key);
  }
}
