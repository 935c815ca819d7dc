import type { Storage } from '../storage/storage.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/log.ts';

/** Upstream's --etcd-compaction-interval: history lives at least so long, at most twice as long. */
const INTERVAL_MS = 5 * 60_000;

/** Every five minutes forgets the history that is older than five minutes. Works until aborted. */
export async function compactPeriodically(
  deps: { storage: Storage; clock: Clock; log: Logger },
  signal: AbortSignal,
): Promise<void> {
  const { storage, clock, log } = deps;
  let before = (await storage.status()).revision;
  while (!signal.aborted) {
    await clock.sleep(INTERVAL_MS, signal).catch(() => {});
    if (signal.aborted) return;
    try {
      const { revision, compacted } = await storage.status();
      if (before > compacted) await storage.compact(before);
      before = revision;
    } catch (err) {
      log.error({ err }, 'Could not compact the store');
    }
  }
}
