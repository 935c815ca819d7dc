import { describe, expect, it } from 'vitest';
import { parseDuration } from './duration.ts';

describe('parseDuration', () => {
  it.each([
    ['1h30m', 5_400_000],
    ['5s', 5000],
    ['1.5s', 1500],
    ['300ms', 300],
    ['0', 0],
    ['-1m', -60_000],
  ])('reads %s', (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each(['', '5', 's', '1d', '1h 5m'])('refuses %j', (text) => {
    expect(() => parseDuration(text)).toThrow('invalid duration');
  });
});
