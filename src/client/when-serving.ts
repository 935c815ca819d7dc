import { ApiError } from '../api/errors.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import type { Client } from './client.ts';

const FIRST_WAIT_MS = 50;
const LAST_WAIT_MS = 2_000;

/** Resolves when the API server is ready, or the signal aborts. Components start before it: one log line tells of the wait. */
export async function whenServing(
  deps: { client: Client; clock: Clock; log: Logger },
  signal: AbortSignal,
): Promise<void> {
  const { client, clock, log } = deps;
  for (let tries = 0; !signal.aborted; tries++) {
    try {
      await client.raw('GET', '/readyz', undefined, signal);
      return;
    } catch (err) {
      // It answers, but does not let us ask: that is serving, too.
      if (err instanceof ApiError && err.code < 500 && err.code !== 429) return;
      if (tries === 0) log.info({ err: errorMessage(err) }, 'Waiting for the API server');
      const wait = Math.min(LAST_WAIT_MS, FIRST_WAIT_MS * 2 ** tries);
      await clock.sleep(wait, signal).catch(() => {});
    }
  }
}
