import { afterEach, describe, expect, it, vi } from 'vitest';
import { realClock } from './clock.ts';
import { steadyClock } from './steady-clock.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('steadyClock', () => {
  it('does not notice that the wall clock is set', () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const [wall, steady] = [realClock.now(), steadyClock.now()];
    vi.setSystemTime(wall - 3_600_000);
    expect(realClock.now()).toBeLessThan(wall);
    expect(steadyClock.now()).toBeGreaterThanOrEqual(steady);
    expect(steadyClock.now() - steady).toBeLessThan(60_000);
  });
});
