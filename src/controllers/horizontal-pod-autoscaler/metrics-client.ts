import { formatSelector, fromLabelSelector } from '../../api/labels.ts';
import { addQuantities, milliValue, parseQuantity, ZERO } from '../../api/quantity.ts';
import type { LabelSelector } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import { parseDuration } from '../../util/duration.ts';

/** One Pod's measurement. */
export interface PodMetric {
  /** Thousandths of the metric's unit. */
  readonly milli: number;
  /** Milliseconds: when, and over how long before. */
  readonly at: number;
  readonly windowMs: number;
}

/** By Pod name. */
export type PodMetrics = Map<string, PodMetric>;

export interface ObjectRef {
  readonly apiVersion?: string | undefined;
  readonly kind: string;
  readonly name: string;
}

interface ResourceItem {
  metadata: { name: string };
  timestamp: string;
  window?: string;
  containers: { name: string; usage: Record<string, string> }[];
}

interface CustomItem {
  describedObject: { name: string };
  timestamp: string;
  windowSeconds?: number;
  value: string;
}

interface MetricName {
  readonly name: string;
  readonly selector?: LabelSelector | undefined;
}

const CUSTOM = '/apis/custom.metrics.k8s.io/v1beta2';
const EXTERNAL = '/apis/external.metrics.k8s.io/v1beta1';

/** Asks the three metrics APIs. Every method throws where there is no answer to work with. */
export class MetricsClient {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /** The use of a resource by each Pod, or by one container of each. */
  async resource(
    resource: string,
    from: { namespace: string; selector: string; container?: string | undefined },
  ): Promise<PodMetrics> {
    const path = `/apis/metrics.k8s.io/v1beta1/namespaces/${from.namespace}/pods`;
    const items = await this.#items<ResourceItem>(
      `${path}?labelSelector=${encodeURIComponent(from.selector)}`,
      'unable to fetch metrics from resource metrics API',
    );
    if (items.length === 0) throw new Error('no metrics returned from resource metrics API');
    const found: PodMetrics = new Map();
    for (const item of items) {
      const containers = item.containers.filter(
        ({ name }) => from.container === undefined || name === from.container,
      );
      if (containers.length === 0 && from.container !== undefined) {
        throw new Error(
          `container ${from.container} not present in metrics for pod ${from.namespace}/${item.metadata.name}`,
        );
      }
      if (containers.some(({ usage }) => usage[resource] === undefined)) continue;
      const total = containers
        .map(({ usage }) => parseQuantity(usage[resource] ?? '0'))
        .reduce(addQuantities, ZERO);
      const windowMs = parseDuration(item.window ?? '0');
      found.set(item.metadata.name, {
        ...{ milli: milliValue(total), at: Date.parse(item.timestamp), windowMs },
      });
    }
    return found;
  }

  async pods(
    metric: MetricName,
    from: { namespace: string; selector: string },
  ): Promise<PodMetrics> {
    const query = new URLSearchParams({ labelSelector: from.selector, ...metricSelector(metric) });
    const items = await this.#items<CustomItem>(
      `${CUSTOM}/namespaces/${from.namespace}/pods/*/${metric.name}?${query}`,
      'unable to fetch metrics from custom metrics API',
    );
    if (items.length === 0) throw new Error('no metrics returned from custom metrics API');
    return new Map(
      items.map(({ describedObject, timestamp, windowSeconds = 60, value }) => [
        describedObject.name,
        {
          milli: milliValue(parseQuantity(value)),
          at: Date.parse(timestamp),
          windowMs: windowSeconds * 1000,
        },
      ]),
    );
  }

  /** Thousandths. `plural`: the resource name of the object's kind. */
  async object(
    metric: MetricName,
    about: ObjectRef,
    { namespace, plural }: { namespace: string; plural: string },
  ): Promise<number> {
    const query = new URLSearchParams(metricSelector(metric));
    const where = about.kind === 'Namespace' ? `namespaces/${about.name}/metrics` : '';
    const path = where || `namespaces/${namespace}/${plural}/${about.name}`;
    const [item] = await this.#items<CustomItem>(
      `${CUSTOM}/${path}/${metric.name}?${query}`,
      'unable to fetch metrics from custom metrics API',
    );
    if (!item) throw new Error('no metrics returned from custom metrics API');
    return milliValue(parseQuantity(item.value));
  }

  /** The sum over all series, in thousandths. */
  async external(metric: MetricName, namespace: string): Promise<number> {
    const query = new URLSearchParams(
      metric.selector ? { labelSelector: selectorText(metric.selector) } : {},
    );
    const items = await this.#items<{ value: string }>(
      `${EXTERNAL}/namespaces/${namespace}/${metric.name}?${query}`,
      'unable to fetch metrics from external metrics API',
    );
    if (items.length === 0) throw new Error('no metrics returned from external metrics API');
    return items.reduce((sum, { value }) => sum + milliValue(parseQuantity(value)), 0);
  }

  async #items<T>(path: string, failure: string): Promise<T[]> {
    try {
      const answer = (await this.#client.raw('GET', path)) as { items?: T[] };
      return answer.items ?? [];
    } catch (err) {
      throw new Error(failure, { cause: err });
    }
  }
}

function metricSelector({ selector }: MetricName): Record<string, string> {
  return selector ? { metricLabelSelector: selectorText(selector) } : {};
}

export function selectorText(selector: LabelSelector | undefined): string {
  return selector ? formatSelector(fromLabelSelector(selector)) : '';
}
