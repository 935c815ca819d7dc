import { describe, expect, it } from 'vitest';
import { missedRuns, parseSchedule } from './schedule.ts';

const at = (text: string) => Date.parse(text);

describe('parseSchedule', () => {
  it.each([
    ['*/5 * * * *', undefined, '2026-01-01T00:01:00Z', '2026-01-01T00:05:00Z'],
    ['0 3 * * *', 'Europe/Berlin', '2026-07-01T00:00:00Z', '2026-07-01T01:00:00Z'],
    ['@daily', undefined, '2026-01-01T10:00:00Z', '2026-01-02T00:00:00Z'],
    ['0 0 13 * 5', undefined, '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'],
    ['5/20 * * * *', undefined, '2026-01-01T00:06:00Z', '2026-01-01T00:25:00Z'],
    ['0 0 * jun/3 ?', undefined, '2026-01-01T00:00:00Z', '2026-06-01T00:00:00Z'],
    ['@every 1h30m', undefined, '2026-01-01T00:06:00.7Z', '2026-01-01T01:36:00Z'],
    ['@every 1ms', undefined, '2026-01-01T00:06:00Z', '2026-01-01T00:06:01Z'],
    // The clocks leap from 2:00 to 3:00, and show 2:30 twice.
    ['30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z', '2026-03-30T00:30:00Z'],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-25T00:00:00Z', '2026-10-25T00:30:00Z'],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z'],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-25T00:45:00Z', '2026-10-25T01:30:00Z'],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-25T01:30:00Z', '2026-10-26T01:30:00Z'],
    ['0 */6 * * *', 'Europe/Berlin', '2026-10-25T00:45:00Z', '2026-10-25T05:00:00Z'],
  ])('%s in %s', (text, zone, from, wanted) => {
    const next = parseSchedule(text, zone).next(at(from));
    expect(new Date(next ?? 0).toISOString()).toBe(new Date(wanted).toISOString());
  });

  it('refuses nonsense and unknown zones', () => {
    expect(() => parseSchedule('every day', undefined)).toThrow();
    expect(() => parseSchedule('* * * * *', 'Mars/Olympus')).toThrow(RangeError);
  });
});

describe('missedRuns', () => {
  it('finds the latest, also after a long time', () => {
    const schedule = parseSchedule('* * * * *', undefined);
    const now = at('2026-03-01T12:00:30Z');
    expect(missedRuns(schedule, now - 150_000, now)).toEqual({
      latest: at('2026-03-01T12:00:00Z'),
      count: 2,
    });
    const long = missedRuns(schedule, at('2026-01-01T00:00:00Z'), now);
    expect(long).toEqual({ latest: at('2026-03-01T12:00:00Z'), count: 101 });
  });
});
