import type { Metrics } from '../util/metrics.ts';

/** The manager's metrics, under upstream's names where upstream has them. */
export function managerMetrics(metrics: Metrics) {
  const labelNames = ['name'] as const;
  return {
    reconciles: metrics.counter(
      'workqueue_adds_total',
      'Total number of items that a controller handled.',
      labelNames,
    ),
    retries: metrics.counter(
      'workqueue_retries_total',
      'Total number of items that failed and are tried again.',
      labelNames,
    ),
    seconds: metrics.histogram(
      'workqueue_work_duration_seconds',
      'How long in seconds processing an item from the queue takes.',
      { labelNames: ['name'], buckets: [0.001, 0.01, 0.1, 1, 10] },
    ),
    leader: metrics.gauge(
      'leader_election_master_status',
      'Whether this process holds the lease: 0 waits, 1 leads.',
      labelNames,
    ),
    running: metrics.gauge('running_managed_controllers', 'Controllers that run here.', [
      'name',
      'manager',
    ]),
  };
}

export type ManagerMetrics = ReturnType<typeof managerMetrics>;
