import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../util/clock.fake.ts';
import { silent } from '../util/log.ts';
import { MemoryStorage } from './memory.fake.ts';
import { firstDue, snapshotName, snapshotPeriodically, surplus } from './periodic-snapshots.ts';
import { snapshotStatus } from './snapshot.ts';

const HOUR = 3_600_000;

describe('periodic snapshots', () => {
  it('are taken per interval, and only the newest are kept', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'k8ts-periodic-'));
    writeFileSync(join(directory, 'mine.snapshot'), 'not touched');
    const clock = new FakeClock();
    const storage = new MemoryStorage(clock);
    await storage.create('/registry/a', Buffer.from('{}'));
    const stop = new AbortController();
    const schedule = { directory, intervalMs: HOUR, retention: 2 };
    const running = snapshotPeriodically({ storage, clock, log: silent }, schedule, stop.signal);
    const own = (): string[] =>
      readdirSync(directory)
        .filter((name) => name.startsWith('k8ts-'))
        .sort();
    const start = clock.now();
    for (const [after, count] of [
      [60_000, 1],
      [HOUR, 2],
      [HOUR, 2],
    ] as const) {
      await clock.advance(after);
      await expect.poll(own).toHaveLength(count);
      await expect.poll(own).toContain(snapshotName(clock.now()));
      await expect.poll(() => clock.pending).toBe(1);
    }
    expect(own()).toEqual([start + 60_000 + HOUR, start + 60_000 + 2 * HOUR].map(snapshotName));
    expect(await snapshotStatus(join(directory, own()[0] ?? ''))).toMatchObject({
      keys: 1,
      revision: 1,
    });
    expect(readdirSync(directory)).toContain('mine.snapshot');
    stop.abort();
    await running;
    rmSync(directory, { recursive: true });
  });

  it('go on from the newest one that is there, also after a restart', () => {
    const now = Date.UTC(2026, 0, 10);
    expect(firstDue([], now, HOUR)).toBe(now + 60_000);
    const names = [snapshotName(now - 3 * HOUR), snapshotName(now - HOUR / 2), 'other'];
    expect(firstDue(names, now, HOUR)).toBe(now + HOUR / 2);
  });

  it('name themselves so that the oldest sort first', () => {
    const names = [3, 1, 2].map((hour) => snapshotName(hour * HOUR));
    expect(surplus([...names, 'foreign'], 1)).toEqual(
      [1, 2].map((hour) => snapshotName(hour * HOUR)),
    );
    expect(surplus(names, 5)).toEqual([]);
  });
});
