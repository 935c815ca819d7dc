import { describe, expect, it } from 'vitest';
import { FakeClock } from '../util/clock.fake.ts';
import { RuntimeHealth } from './runtime-problems.ts';

const ready = [{ type: 'RuntimeReady', status: true, reason: '', message: '' }];

describe('RuntimeHealth', () => {
  it('bears with a runtime that is started again, and not with one that is gone', async () => {
    const clock = new FakeClock();
    const health = new RuntimeHealth(clock);
    expect(health.problems(undefined)).toEqual(['container runtime is down']);
    expect(health.problems(ready)).toEqual([]);
    await clock.advance(29_000);
    expect(health.problems(undefined)).toEqual([]);
    await clock.advance(2000);
    expect(health.problems(undefined)).toEqual(['container runtime is down']);
    expect(health.problems(ready)).toEqual([]);
  });

  it('says at once what the runtime says itself', () => {
    const broken = [{ type: 'RuntimeReady', status: false, reason: 'x', message: 'y' }];
    const health = new RuntimeHealth(new FakeClock());
    expect(health.problems(broken)[0]).toContain('container runtime not ready');
  });
});
