import { describe, expect, it } from 'vitest';
import { Backoff } from './backoff.ts';
import { FakeClock } from './clock.fake.ts';

const HOUR = 3_600_000;

describe('Backoff', () => {
  it('doubles what is still to wait, up to its maximum, and forgets it after a long time', async () => {
    const clock = new FakeClock();
    const backoff = new Backoff({ clock, firstMs: 10, maxMs: 40 });
    expect(backoff.remaining('a', clock.now())).toBe(0);
    const waits = [];
    for (let tries = 0; tries < 4; tries++) {
      backoff.next('a', clock.now());
      waits.push(backoff.remaining('a', clock.now()));
    }
    expect(waits).toEqual([10, 20, 40, 40]);
    await clock.advance(30);
    expect(backoff.remaining('a', clock.now() - 30)).toBe(10);
    await clock.advance(51);
    expect(backoff.remaining('a', clock.now())).toBe(0);
  });

  it('does not wait for the time to which a clock had been set wrongly', () => {
    const clock = new FakeClock();
    const backoff = new Backoff({ clock, firstMs: 10_000, maxMs: 300_000 });
    const failedAt = clock.now();
    backoff.next('a', failedAt);
    clock.jump(-HOUR);
    expect(backoff.remaining('a', failedAt)).toBe(0);
    backoff.next('a', clock.now());
    expect(backoff.remaining('a', clock.now())).toBeLessThanOrEqual(20_000);
  });
});
