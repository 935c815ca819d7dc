import { DONE, type Result } from '../client/controller.ts';

/** Another look after the shortest of these times; none, if nothing is to be waited for. */
export function soonest(...waits: readonly (number | undefined)[]): Result {
  const known = waits.filter((wait) => wait !== undefined);
  return known.length === 0 ? DONE : { requeueAfterMs: Math.min(...known) };
}
