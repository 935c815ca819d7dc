import type { Pod } from '../../api/types.ts';

const FIRST_MS = 10_000;
const MAX_MS = 600_000;

interface Failures {
  count: number;
  lastAt: number;
}

/** Milliseconds to wait after the last of so many failures in a row, 0 when it may go on. Pure. */
export function waitAfterFailures(failures: number, pods: readonly Pod[], now: number): number {
  if (failures === 0) return 0;
  const lastAt = Math.max(...pods.map((pod) => endOf(pod) ?? now));
  return Math.max(0, lastAt + delayAfter(failures) - now);
}

function delayAfter(failures: number): number {
  return Math.min(MAX_MS, FIRST_MS * 2 ** (failures - 1));
}

/** How long a Job waits before it replaces failed Pods: 10 s, doubling with each failure since the last success. */
export class JobBackoff {
  readonly #byKey = new Map<string, Failures>();

  note(
    key: string,
    ended: { succeeded: readonly Pod[]; failed: readonly Pod[] },
    now: number,
  ): void {
    if (ended.succeeded.length > 0) this.#byKey.delete(key);
    if (ended.failed.length === 0) return;
    const before = this.#byKey.get(key)?.count ?? 0;
    const lastAt = Math.max(...ended.failed.map((pod) => endOf(pod) ?? now));
    this.#byKey.set(key, { count: before + ended.failed.length, lastAt });
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

function endOf(pod: Pod): number | undefined {
  const ends = (pod.status?.containerStatuses ?? [])
    .map(({ state }) => Date.parse(state?.terminated?.finishedAt ?? ''))
    .filter((time) => !Number.isNaN(time));
  return ends.length === 0 ? undefined : Math.max(...ends);
}
