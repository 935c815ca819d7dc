import { describe, expect, it } from 'vitest';
import { MemoryStorage } from '../storage/memory.fake.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { silent } from '../util/log.ts';
import { compactPeriodically } from './compactor.ts';

describe('compactPeriodically', () => {
  it('forgets what is older than five minutes, and nothing younger', async () => {
    const clock = new FakeClock();
    const storage = new MemoryStorage(clock);
    const old = await storage.create('/registry/a', Buffer.from('1'));
    const stop = new AbortController();
    const told: number[] = [];
    const onCompacted = (revision: number) => void told.push(revision);
    const done = compactPeriodically({ storage, clock, log: silent, onCompacted }, stop.signal);
    await clock.advance(0); // it is asleep now
    await clock.advance(60_000);
    const young = await storage.update('/registry/a', Buffer.from('2'), old);
    await clock.advance(4 * 60_000);
    expect((await storage.status()).compacted).toBe(old);
    await clock.advance(5 * 60_000);
    expect((await storage.status()).compacted).toBe(young);
    expect(told).toEqual([old, young]);
    stop.abort();
    await done;
  });
});
