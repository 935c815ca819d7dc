import type { Metrics } from '../util/metrics.ts';

type Outcome = 'scheduled' | 'unschedulable' | 'error';

/** The scheduler's metrics, under upstream's names. */
export interface SchedulerMetrics {
  /** One attempt to place a Pod ended. */
  attempt(outcome: Outcome, profile: string, seconds: number): void;
  /** Finding a node took this long. */
  algorithm(seconds: number): void;
  /** The Pod is bound after so many attempts, `seconds` after the first. */
  scheduled(attempts: number, seconds: number): void;
  preemption(victims: number): void;
  queues(sizes: { active: number; backoff: number; unschedulable: number; gated: number }): void;
  cacheSize(sizes: { nodes: number; pods: number; assumed_pods: number }): void;
}

const exponential = (start: number, factor: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => start * factor ** i);

export function schedulerMetrics(metrics: Metrics): SchedulerMetrics {
  const attempts = metrics.counter(
    'scheduler_schedule_attempts_total',
    'Attempts to schedule Pods, by result.',
    ['result', 'profile'],
  );
  const duration = metrics.histogram(
    'scheduler_scheduling_attempt_duration_seconds',
    'Scheduling attempt latency in seconds (algorithm and binding).',
    { labelNames: ['result', 'profile'], buckets: exponential(0.001, 2, 15) },
  );
  const algorithm = metrics.histogram(
    'scheduler_scheduling_algorithm_duration_seconds',
    'Scheduling algorithm latency in seconds.',
    { buckets: exponential(0.001, 2, 15) },
  );
  const tries = metrics.histogram(
    'scheduler_pod_scheduling_attempts',
    'Attempts needed to schedule a Pod.',
    { buckets: exponential(1, 2, 5) },
  );
  const sli = metrics.histogram(
    'scheduler_pod_scheduling_sli_duration_seconds',
    'From the first attempt of a Pod to its binding.',
    { labelNames: ['attempts'], buckets: exponential(0.01, 2, 20) },
  );
  const preemptions = metrics.counter(
    'scheduler_preemption_attempts_total',
    'Preemption attempts in the cluster.',
  );
  const victims = metrics.histogram('scheduler_preemption_victims', 'Victims per preemption.', {
    buckets: exponential(1, 2, 7),
  });
  const pending = metrics.gauge('scheduler_pending_pods', 'Waiting Pods by queue.', ['queue']);
  const cache = metrics.gauge('scheduler_scheduler_cache_size', 'Objects in the cache by kind.', [
    'type',
  ]);
  return {
    attempt(result, profile, seconds) {
      attempts.inc({ result, profile });
      duration.observe({ result, profile }, seconds);
    },
    algorithm: (seconds) => algorithm.observe(seconds),
    scheduled(count, seconds) {
      tries.observe(count);
      sli.observe({ attempts: count > 15 ? '15+' : String(count) }, seconds);
    },
    preemption(count) {
      preemptions.inc();
      victims.observe(count);
    },
    queues(sizes) {
      for (const [queue, size] of Object.entries(sizes)) pending.set({ queue }, size);
    },
    cacheSize(sizes) {
      for (const [type, size] of Object.entries(sizes)) cache.set({ type }, size);
    },
  };
}
