import { Cron } from 'croner';
import { parseDuration } from '../../util/duration.ts';

const MISSED_MANY = 100;
const HOUR_MS = 3_600_000;
/** Of minutes, hours, days, months and days of the week. */
const LAST_OF_FIELDS = [59, 23, 31, 12, 6];

/** When a schedule asks for a run. Times in milliseconds since the epoch. */
export interface Schedule {
  /** The first time after `from`. */
  next(from: number): number | undefined;
}

/** Reads a five-field cron expression, `@daily` and the like, or `@every 1h30m`. Throws for anything else, and for an unknown time zone. */
export function parseSchedule(text: string, timeZone: string | undefined): Schedule {
  const zone = timeZone ?? 'UTC';
  // Throws RangeError for a zone that does not exist.
  new Intl.DateTimeFormat('en', { timeZone: zone });
  const every = /^@every (.+)$/.exec(text.trim())?.[1];
  if (every !== undefined) return everySchedule(parseDuration(every));
  return new CronSchedule(withRanges(text.trim()), zone);
}

/** At whole seconds, at least one apart. */
function everySchedule(ms: number): Schedule {
  const step = Math.max(1, Math.floor(ms / 1000)) * 1000;
  return { next: (from) => Math.floor(from / 1000) * 1000 + step };
}

/** `N/STEP` means from N on, which croner wants said. */
function withRanges(text: string): string {
  const fields = text.split(/\s+/);
  if (fields.length !== LAST_OF_FIELDS.length) return text;
  const parts = (field: string, last: number) =>
    field
      .split(',')
      .map((part) => part.replace(/^(\w+)\/(\d+)$/, `$1-${last}/$2`))
      .join(',');
  return fields.map((field, i) => parts(field, LAST_OF_FIELDS[i] ?? 0)).join(' ');
}

/**
 * A cron expression by the clocks of a zone, as upstream understands it: a time that the clocks leap over has no run, one
 * that they show twice has two.
 */
class CronSchedule implements Schedule {
  readonly #cron: Cron;

  constructor(text: string, timezone: string) {
    this.#cron = new Cron(text, { timezone, paused: true, mode: '5-part' });
  }

  next(from: number): number | undefined {
    const next = this.#first(from);
    // croner sees the repeated hour only once.
    const again = (this.#first(from - HOUR_MS) ?? Number.NaN) + HOUR_MS;
    const isRun = again > from && again < (next ?? Number.POSITIVE_INFINITY);
    return isRun && this.#cron.match(new Date(again)) ? again : next;
  }

  /** croner moves a run out of an hour that does not exist. */
  #first(from: number): number | undefined {
    let at = this.#cron.nextRun(new Date(from));
    while (at && !this.#cron.match(at)) at = this.#cron.nextRun(at);
    return at?.getTime();
  }
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
