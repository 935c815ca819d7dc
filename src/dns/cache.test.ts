import { describe, expect, it } from 'vitest';
import { FakeClock } from '../util/clock.fake.ts';
import { TtlCache } from './cache.ts';

describe('TtlCache', () => {
  it('forgets after the time to live, and the oldest when it is full', async () => {
    const clock = new FakeClock(0);
    const cache = new TtlCache<string>(clock, 100);
    for (let i = 0; i < 10_000; i++) cache.set(`name-${i}`, 'x', 10);
    expect(cache.size).toBe(100);
    expect(cache.get('name-1')).toBeUndefined();
    await clock.advance(3_000);
    expect(cache.get('name-9999')).toEqual({ value: 'x', ageSeconds: 3 });
    await clock.advance(7_000);
    expect(cache.get('name-9999')).toBeUndefined();
  });
});
