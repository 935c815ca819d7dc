import type { Storage } from '../storage/storage.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/log.ts';

/** The default of upstream's --etcd-compaction-interval. */
export const COMPACTION_INTERVAL_MS = 5 * 60_000;

/**
 * Once per interval forgets the history that is older than the interval: it lives at least so long, at most twice as long.
 * With 0 never. Works until aborted.
 */
export async function compactPeriodically(
  deps: { storage: Storage; clock: Clock; log: Logger; onCompacted?: (revision: number) => void },
  signal: AbortSignal,
  intervalMs = COMPACTION_INTERVAL_MS,
): Promise<void> {
  if (intervalMs === 0) return;
  const { storage, clock, log } = deps;
  let before = (await storage.status()).revision;
  while (!signal.aborted) {
    await clock.sleep(intervalMs, signal).catch(() => {});
    if (signal.aborted) return;
    try {
      const { revision, compacted } = await storage.status();
      if (before > compacted) await storage.compact(before);
      deps.onCompacted?.(Math.max(before, compacted));
      before = revision;
    } catch (err) {
      log.error({ err }, 'Could not compact the store');
    }
  }
}
