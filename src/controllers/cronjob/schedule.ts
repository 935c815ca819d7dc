import { Cron } from 'croner';

const MISSED_MANY = 100;

/** When a schedule asks for a run. Times in milliseconds since the epoch. */
export interface Schedule {
  /** The first time after `from`. */
  next(from: number): number | undefined;
}

/** Reads a five-field cron expression, `@daily` and the like, or `@every 1h`. Throws for anything else, and for an unknown time zone. */
export function parseSchedule(text: string, timeZone: string | undefined): Schedule {
  const zone = timeZone ?? 'UTC';
  // Throws RangeError for a zone that does not exist.
  new Intl.DateTimeFormat('en', { timeZone: zone });
  const cron = new Cron(text.trim(), { timezone: zone, paused: true, mode: '5-part' });
  return { next: (from) => cron.nextRun(new Date(from))?.getTime() };
}

/** The times of a schedule between two moments: the latest, and whether it is one of too many to go through. Pure. */
export function missedRuns(
  schedule: Schedule,
  from: number,
  now: number,
): { latest: number | undefined; count: number } {
  let latest: number | undefined;
  let count = 0;
  for (let at = schedule.next(from); at !== undefined && at <= now; at = schedule.next(at)) {
    latest = at;
    count++;
    if (count > MISSED_MANY) return { latest: lastBefore(schedule, at, now), count };
  }
  return { latest, count };
}

/** Leaps over a long gap: the last time that is not after `now`, by halving the span that is left. */
function lastBefore(schedule: Schedule, from: number, now: number): number {
  let found = from;
  for (let span = now - from; span > 1000; span /= 2) {
    const at = schedule.next(now - span);
    if (at !== undefined && at <= now) found = Math.max(found, at);
  }
  return found;
}
