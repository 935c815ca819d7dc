import type { ControllerObserver } from '../client/controller.ts';
import type { Metrics } from '../util/metrics.ts';

/** client-go's: from 10 ns to 10 s, of which Node.js can tell milliseconds. */
const BUCKETS = [0.001, 0.01, 0.1, 1, 10];

/** The manager's metrics, under upstream's names where upstream has them. */
export function managerMetrics(metrics: Metrics) {
  return {
    controllers: controllerMetrics(metrics),
    leader: metrics.gauge(
      'leader_election_master_status',
      'Whether this process holds the lease: 0 waits, 1 leads.',
      ['name'],
    ),
    running: metrics.gauge('running_managed_controllers', 'Controllers that run here.', [
      'name',
      'manager',
    ]),
  };
}

function controllerMetrics(metrics: Metrics): ControllerObserver {
  const labelNames = ['name'] as const;
  const timed = { labelNames, buckets: BUCKETS };
  const adds = metrics.counter(
    'workqueue_adds_total',
    'Total number of adds handled by workqueue.',
    labelNames,
  );
  const retries = metrics.counter(
    'workqueue_retries_total',
    'Total number of retries handled by workqueue.',
    labelNames,
  );
  const waits = metrics.histogram(
    'workqueue_queue_duration_seconds',
    'How long in seconds an item stays in workqueue before being requested.',
    timed,
  );
  const works = metrics.histogram(
    'workqueue_work_duration_seconds',
    'How long in seconds processing an item from workqueue takes.',
    timed,
  );
  const queues = new Map<string, { readonly depth: number }>();
  const depth = { name: 'workqueue_depth', help: 'Current depth of workqueue.', labelNames };
  metrics.lookedUp(depth, (gauge) => {
    for (const [name, queue] of queues) gauge.set({ name }, queue.depth);
  });
  return {
    made: (controller) => queues.set(controller.name, controller),
    added: (name) => adds.inc({ name }),
    waited: (name, ms) => waits.observe({ name }, ms / 1000),
    reconciled(name, outcome, ms) {
      works.observe({ name }, ms / 1000);
      if (outcome === 'error') retries.inc({ name });
    },
  };
}

export type ManagerMetrics = ReturnType<typeof managerMetrics>;
