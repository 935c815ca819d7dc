import type { Storage } from '../storage/storage.ts';
import type { Metrics } from '../util/metrics.ts';
import type { State } from './state.ts';

// Upstream's name of its first and mostly only store.
const CLUSTER = 'etcd-0';

/** What the store and the watch caches hold, looked up when the metrics are asked for. */
export function addCacheMetrics(metrics: Metrics, deps: { storage: Storage; state: State }): void {
  const { storage, state } = deps;
  const ofStore = (
    name: string,
    help: string,
    field: keyof Awaited<ReturnType<Storage['status']>>,
  ) =>
    metrics.lookedUp({ name, help, labelNames: ['storage_cluster_id'] }, async (gauge) => {
      const status = await storage.status().catch(() => undefined);
      if (status) gauge.set({ storage_cluster_id: CLUSTER }, status[field]);
    });
  ofStore('apiserver_storage_size_bytes', 'Size of the store on its disk', 'size');
  ofStore('apiserver_storage_size_in_use_bytes', 'How much of it holds something', 'sizeInUse');
  ofStore('apiserver_storage_revision', 'Revision of the last write', 'revision');
  ofStore('apiserver_storage_compacted_revision', 'History up to here is gone', 'compacted');
  const ofCaches = (
    name: string,
    help: string,
    value: (cache: { size: number; watchers: number; eventBytes: number }) => number,
  ) =>
    metrics.lookedUp({ name, help, labelNames: ['resource'] }, (gauge) => {
      for (const [resource, cache] of state.caches()) gauge.set({ resource }, value(cache));
    });
  ofCaches('apiserver_storage_objects', 'Objects that are stored', ({ size }) => size);
  ofCaches('apiserver_registered_watchers', 'Watches that are open', ({ watchers }) => watchers);
  ofCaches(
    'apiserver_watch_cache_event_bytes',
    'Size of the events that are kept for those who resume or are slow',
    ({ eventBytes }) => eventBytes,
  );
}
