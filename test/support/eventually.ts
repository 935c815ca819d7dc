import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_MS = 100;
/** Only what never comes takes as long, on any machine. */
const HANGS_MS = 120_000;

/**
 * Tries until the attempt neither throws nor answers undefined or false, and answers what it answered. For
 * conditions of the outside world that nothing announces; the last failure is the error.
 */
export async function eventually<T>(
  what: string,
  attempt: () => Promise<T> | T,
  timeoutMs = HANGS_MS,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const answer = await attempt();
      if (answer !== undefined && answer !== null && answer !== false) return answer;
      last = undefined;
    } catch (err) {
      last = err;
    }
    if (Date.now() > deadline) {
      throw new Error(`Not within ${timeoutMs / 1000} s: ${what}`, { cause: last });
    }
    await sleep(LOOK_MS);
  }
}
