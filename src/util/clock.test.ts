import { describe, expect, it } from 'vitest';
import { FakeClock } from './clock.fake.ts';
import { hasPassed, realClock } from './clock.ts';

describe('FakeClock', () => {
  it('runs timers in the order of their time, up to the moment asked for', async () => {
    const clock = new FakeClock(0);
    const fired: number[] = [];
    clock.after(20, () => fired.push(20));
    clock.after(10, () => fired.push(10));
    clock.after(31, () => fired.push(31));
    await clock.advance(30);
    expect(fired).toEqual([10, 20]);
    expect(clock.pending).toBe(1);
  });
});

describe('realClock', () => {
  it('rejects a sleep when its signal aborts', async () => {
    const controller = new AbortController();
    const sleep = realClock.sleep(60_000, controller.signal);
    controller.abort();
    await expect(sleep).rejects.toThrow('aborted');
  });
});

describe('hasPassed', () => {
  it.each([
    ['too soon', 1099, false],
    ['just now', 1100, true],
    ['an hour later', 3_601_000, true],
    ['by a clock that was set back', 999, true],
  ])('%s', (_, now, expected) => {
    expect(hasPassed(100, 1000, now)).toBe(expected);
  });
});
