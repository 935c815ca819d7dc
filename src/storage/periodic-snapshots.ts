import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/log.ts';
import { saveSnapshot } from './snapshot.ts';
import type { Storage } from './storage.ts';

export interface SnapshotSchedule {
  readonly directory: string;
  readonly intervalMs: number;
  /** How many are kept. */
  readonly retention: number;
}

// The first snapshot of all is taken so soon after the start.
const FIRST_MS = 60_000;
const NAME = /^k8ts-(\d{4}-\d\d-\d\dT\d\d)-(\d\d)-(\d\d)Z\.snapshot$/;

/**
 * Takes a snapshot per interval, counted from the newest one that is there, and removes the oldest beyond the retention. A
 * failure is logged, and the next one is tried an interval later. Works until aborted.
 */
export async function snapshotPeriodically(
  deps: { storage: Storage; clock: Clock; log: Logger },
  schedule: SnapshotSchedule,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = deps;
  const { directory, intervalMs, retention } = schedule;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  let due = firstDue(readdirSync(directory), clock.now(), intervalMs);
  while (!signal.aborted) {
    await clock.sleep(Math.max(0, due - clock.now()), signal).catch(() => {});
    if (signal.aborted) return;
    due = clock.now() + intervalMs;
    const file = join(directory, snapshotName(clock.now()));
    try {
      const { revision, keys, size } = await saveSnapshot(() => deps.storage.dump(), file);
      log.info({ file, revision, keys, size }, 'Saved a snapshot');
      for (const old of surplus(readdirSync(directory), retention)) rmSync(join(directory, old));
    } catch (err) {
      log.error({ err, file }, 'Could not save a snapshot');
    }
  }
}

/** When the first snapshot is to be taken, given what is there. */
export function firstDue(names: readonly string[], now: number, intervalMs: number): number {
  const newest = Math.max(...names.map(timeOf).filter((at) => at !== undefined));
  return Number.isFinite(newest) ? newest + intervalMs : now + FIRST_MS;
}

/** The snapshots beyond the newest `retention`. Files of other names are nobody's business. */
export function surplus(names: readonly string[], retention: number): string[] {
  const own = names.filter((name) => NAME.test(name)).sort();
  return own.slice(0, Math.max(0, own.length - retention));
}

export function snapshotName(at: number): string {
  return `k8ts-${new Date(at).toISOString().slice(0, 19).replaceAll(':', '-')}Z.snapshot`;
}

function timeOf(name: string): number | undefined {
  const found = NAME.exec(name);
  return found ? Date.parse(`${found[1]}:${found[2]}:${found[3]}Z`) : undefined;
}
