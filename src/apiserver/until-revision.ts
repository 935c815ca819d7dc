import { ApiError } from '../api/errors.ts';
import type { State } from './state.ts';

// As long as upstream's cache waits.
const WAIT_MS = 3000;

/** Waits a little for a revision that this server has not seen yet; fails when it does not come. */
export async function untilRevision({ state }: { state: State }, wanted: number): Promise<void> {
  if (await state.within(wanted, WAIT_MS)) return;
  throw new ApiError(
    'Timeout',
    `Too large resource version: ${wanted}, current: ${state.revision}`,
    {
      details: {
        causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
        retryAfterSeconds: 1,
      },
    },
  );
}
