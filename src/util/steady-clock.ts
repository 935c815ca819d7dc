import { type Clock, realClock } from './clock.ts';

/** A clock that passes evenly, whatever is done to the wall clock. Only differences of its times mean something. */
export const steadyClock: Clock = { ...realClock, now: () => performance.now() };
