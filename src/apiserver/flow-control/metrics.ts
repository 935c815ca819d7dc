import type { Metrics } from '../../util/metrics.ts';
import type { SeatRange } from './concurrency.ts';
import type { Rejection } from './fair-queue.ts';

export interface FlowLabels {
  readonly flow_schema: string;
  readonly priority_level: string;
}

const FLOW = ['priority_level', 'flow_schema'] as const;
const WATCHES = [0, 1, 10, 100, 1000, 10_000];
const WAIT_SECONDS = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30];

/** How requests fare in the queues, under upstream's names. */
export class FlowMetrics {
  readonly #dispatched;
  readonly #rejected;
  readonly #inQueue;
  readonly #executing;
  readonly #wait;
  readonly #watches;
  readonly #limits;

  constructor(registry: Metrics) {
    const name = (part: string): string => `apiserver_flowcontrol_${part}`;
    this.#dispatched = registry.counter(
      name('dispatched_requests_total'),
      'Requests that got a seat',
      FLOW,
    );
    this.#rejected = registry.counter(
      name('rejected_requests_total'),
      'Requests that got none, by reason',
      [...FLOW, 'reason'],
    );
    this.#inQueue = registry.gauge(name('current_inqueue_requests'), 'Requests that wait', FLOW);
    this.#executing = registry.gauge(
      name('current_executing_requests'),
      'Requests that have a seat',
      FLOW,
    );
    this.#wait = registry.histogram(
      name('request_wait_duration_seconds'),
      'How long requests waited for their seats',
      { labelNames: FLOW, buckets: WAIT_SECONDS },
    );
    this.#watches = registry.histogram(
      name('watch_count_samples'),
      'Watches that must be told of a write',
      { labelNames: FLOW, buckets: WATCHES },
    );
    const seats = (part: string, help: string) =>
      registry.gauge(name(`${part}_limit_seats`), help, ['priority_level']);
    this.#limits = {
      nominal: seats('nominal', 'Seats that are a priority level’s own'),
      lower: seats('lower', 'Seats that it does not lend'),
      upper: seats('upper', 'Seats that it may have with all that it may borrow'),
      current: seats('current', 'Seats that it has now'),
    };
  }

  dispatched(labels: FlowLabels, seconds: number): void {
    this.#dispatched.inc({ ...labels });
    this.#executing.inc({ ...labels });
    this.#wait.observe({ ...labels }, seconds);
  }

  watched(labels: FlowLabels, watches: number): void {
    this.#watches.observe({ ...labels }, watches);
  }

  finished(labels: FlowLabels): void {
    this.#executing.dec({ ...labels });
  }

  rejected(labels: FlowLabels, reason: Rejection): void {
    this.#rejected.inc({ ...labels, reason });
  }

  /** Answers what to call when the request waits no more. */
  waiting(labels: FlowLabels): () => void {
    this.#inQueue.inc({ ...labels });
    return () => this.#inQueue.dec({ ...labels });
  }

  limit(priority_level: string, { nominal, min, max }: SeatRange, current: number): void {
    this.#limits.nominal.set({ priority_level }, nominal);
    this.#limits.lower.set({ priority_level }, min);
    this.#limits.upper.set({ priority_level }, max);
    this.#limits.current.set({ priority_level }, current);
  }
}
