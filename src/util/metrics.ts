import { Counter, Gauge, Histogram, Registry } from 'prom-client';

type Labels<L extends string> = readonly L[];

/** One process's metrics. Each component's `metrics.ts` makes its typed metrics here, under upstream's names. */
export class Metrics {
  readonly #registry = new Registry();

  counter<L extends string>(name: string, help: string, labelNames: Labels<L> = []): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }

  gauge<L extends string>(name: string, help: string, labelNames: Labels<L> = []): Gauge<L> {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] });
  }

  /** A gauge whose values are looked up when somebody asks for the metrics. */
  lookedUp<L extends string>(
    gauge: { name: string; help: string; labelNames?: Labels<L> },
    lookUp: (gauge: Gauge<L>) => Promise<void> | void,
  ): void {
    new Gauge({
      ...gauge,
      registers: [this.#registry],
      async collect() {
        this.reset();
        await lookUp(this);
      },
    });
  }

  histogram<L extends string>(
    name: string,
    help: string,
    options: { labelNames?: Labels<L>; buckets: number[] },
  ): Histogram<L> {
    const { labelNames = [], buckets } = options;
    return new Histogram({ name, help, labelNames, buckets, registers: [this.#registry] });
  }

  /** The Prometheus text format, version 0.0.4. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }
}
