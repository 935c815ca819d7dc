import {
  isStorageError,
  type ListOptions,
  type Storage,
  StorageError,
  type WatchSink,
} from '../storage/storage.ts';
import type { Clock } from '../util/clock.ts';
import type { Metrics } from '../util/metrics.ts';

// Upstream's buckets of etcd_request_duration_seconds.
const SECONDS = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45,
  60,
];
/** What a client asked for and did not get is no failure of the store. */
const ANSWERS = new Set(['exists', 'conflict', 'compacted', 'future']);
const ROOT = '/registry/';

/** A store that measures itself, under upstream's names whatever the engine, and raises an alarm while its disk is full. */
export function meterStorage(storage: Storage, metrics: Metrics, clock: Clock): Storage {
  const labelNames = ['operation', 'resource'] as const;
  const seconds = metrics.histogram(
    'etcd_request_duration_seconds',
    'Time of requests to the store',
    { labelNames: [...labelNames], buckets: SECONDS },
  );
  const failures = metrics.counter('etcd_request_errors_total', 'Requests that the store failed', [
    ...labelNames,
  ]);
  const alarm = metrics.gauge(
    'apiserver_storage_alarm',
    'Whether the store refuses writes, and why',
    ['alarm'],
  );
  alarm.set({ alarm: 'NOSPACE' }, 0);
  const meter = async <T>(operation: string, key: string, ask: () => Promise<T>): Promise<T> => {
    const labels = { operation, resource: resourceOf(key) };
    const began = clock.now();
    try {
      const answer = await ask();
      if (WRITES.has(operation)) alarm.set({ alarm: 'NOSPACE' }, 0);
      return answer;
    } catch (err) {
      if (isStorageError(err, 'no-space')) alarm.set({ alarm: 'NOSPACE' }, 1);
      if (!(err instanceof StorageError && ANSWERS.has(err.kind))) failures.inc(labels);
      throw err;
    } finally {
      seconds.observe(labels, (clock.now() - began) / 1000);
    }
  };
  const { newest, requestProgress } = storage;
  return {
    get: (key) => meter('get', key, () => storage.get(key)),
    list: (prefix, options?: ListOptions) =>
      meter('list', prefix, () => storage.list(prefix, options)),
    create: (key, value, options) =>
      meter('create', key, () => storage.create(key, value, options)),
    update: (key, value, expected, options) =>
      meter('update', key, () => storage.update(key, value, expected, options)),
    delete: (key, expected) => meter('delete', key, () => storage.delete(key, expected)),
    watch: (prefix, options, sink: WatchSink, signal) =>
      storage.watch(prefix, options, sink, signal),
    ...(newest ? { newest: () => meter('newest', ROOT, () => newest.call(storage)) } : {}),
    ...(requestProgress ? { requestProgress: () => requestProgress.call(storage) } : {}),
    compact: (revision) => meter('compact', ROOT, () => storage.compact(revision)),
    status: () => storage.status(),
    dump: () => storage.dump(),
    close: () => storage.close(),
  };
}

const WRITES = new Set(['create', 'update', 'delete']);

/** `pods` of `/registry/pods/default/web`. Empty for what is no kind's. */
function resourceOf(key: string): string {
  const end = key.indexOf('/', ROOT.length);
  return end < 0 ? '' : key.slice(ROOT.length, end);
}
