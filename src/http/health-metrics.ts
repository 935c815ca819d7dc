import { Metrics } from '../util/metrics.ts';
import type { HealthCheck } from './health.ts';

/** What health checks found whenever they were asked for: what /metrics/slis shows (KEP-3466). */
export class HealthMetrics {
  readonly #metrics = new Metrics();
  readonly #last = this.#metrics.gauge(
    'kubernetes_healthcheck',
    'This metric records the result of a single healthcheck.',
    ['name', 'type'],
  );
  readonly #total = this.#metrics.counter(
    'kubernetes_healthchecks_total',
    'This metric records the results of all healthcheck.',
    ['name', 'status', 'type'],
  );

  /** The same checks, with their results kept as those of `type`: healthz, livez or readyz. */
  kept(type: string, checks: readonly HealthCheck[]): HealthCheck[] {
    return checks.map(({ name, check }) => ({
      name,
      check: async () => {
        try {
          await check();
        } catch (err) {
          this.#keep(name, type, false);
          throw err;
        }
        this.#keep(name, type, true);
      },
    }));
  }

  render(): Promise<string> {
    return this.#metrics.render();
  }

  #keep(name: string, type: string, isWell: boolean): void {
    this.#last.set({ name, type }, isWell ? 1 : 0);
    this.#total.inc({ name, status: isWell ? 'success' : 'error', type });
  }
}
