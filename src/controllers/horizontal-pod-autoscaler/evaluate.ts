import { isPodReady, isSidecar } from '../../api/pods.ts';
import { formatQuantity, milliValue, parseQuantity, quantityOfMillis } from '../../api/quantity.ts';
import type { HorizontalPodAutoscaler, Pod } from '../../api/types.ts';
import { type MetricsClient, selectorText } from './metrics-client.ts';
import {
  type CalculatorOptions,
  type Proposal,
  replicasForPods,
  replicasForRatio,
  replicasForShare,
  type Tolerance,
} from './replicas.ts';

export type Metric = NonNullable<NonNullable<HorizontalPodAutoscaler['spec']>['metrics']>[number];
export type MetricStatus = NonNullable<
  NonNullable<HorizontalPodAutoscaler['status']>['currentMetrics']
>[number];
type Target = NonNullable<Metric['resource']>['target'];

/** What a metric is compared against and for. */
export interface MetricWorld {
  readonly namespace: string;
  /** The target's Pods, and the selector that finds them. */
  readonly pods: readonly Pod[];
  readonly selector: string;
  readonly specReplicas: number;
  readonly statusReplicas: number;
  readonly now: number;
  readonly tolerance: Tolerance;
  readonly options: CalculatorOptions;
  /** The plural of a kind in this namespace. */
  pluralOf(about: { apiVersion?: string | undefined; kind: string }): Promise<string>;
}

export interface Evaluation {
  readonly replicas: number;
  /** How messages call the metric. */
  readonly name: string;
  readonly status: MetricStatus;
}

/** The reason of the event and the condition when a metric cannot be had. */
export function failureReason({ type }: Metric): string {
  return `FailedGet${type === 'Resource' ? 'Resource' : type}Metric`;
}

/** The replicas that one metric asks for. Throws where there is no telling. */
export function evaluate(
  metric: Metric,
  client: MetricsClient,
  world: MetricWorld,
): Promise<Evaluation> {
  switch (metric.type) {
    case 'Resource':
    case 'ContainerResource':
      return evaluateResource(metric, client, world);
    case 'Pods':
      return evaluatePods(metric, client, world);
    case 'Object':
      return evaluateObject(metric, client, world);
    case 'External':
      return evaluateExternal(metric, client, world);
    default:
      throw new Error(`unknown metric source type "${metric.type}"`);
  }
}

async function evaluateResource(
  metric: Metric,
  client: MetricsClient,
  world: MetricWorld,
): Promise<Evaluation> {
  const isContainer = metric.type === 'ContainerResource';
  const { name = '', target } = metric.containerResource ?? metric.resource ?? {};
  const container = metric.containerResource?.container;
  if (!target) throw new Error('invalid resource metric source: no target was set');
  const asked = target.averageUtilization;
  const requests =
    asked === undefined ? undefined : requestsOf(world.pods, name, container, world.namespace);
  const where = { namespace: world.namespace, selector: world.selector, container };
  const kind = asked === undefined ? `${name} resource metric value` : `${name} utilization`;
  const metrics = await client.resource(name, where).catch((err: unknown) => {
    const text = `unable to get metrics for resource ${name}`;
    throw new Error(`failed to get ${kind}: ${text}`, { cause: err });
  });
  const value = asked ?? milliOf(target.averageValue);
  const isCpu = name === 'cpu';
  let proposal: Proposal;
  try {
    proposal = replicasForPods(
      world.specReplicas,
      { value, requests },
      { ...world, metrics, isCpu },
    );
  } catch (err) {
    throw new Error(`failed to get ${kind}`, { cause: err });
  }
  const { utilization, milli } = proposal;
  const current = {
    ...(utilization === undefined ? {} : { averageUtilization: utilization }),
    averageValue: textOf(milli),
  };
  const of = isContainer ? 'container resource' : 'resource';
  const status: MetricStatus = isContainer
    ? { type: metric.type, containerResource: { name, container: container ?? '', current } }
    : { type: metric.type, resource: { name, current } };
  const share = asked === undefined ? '' : ' utilization (percentage of request)';
  return { replicas: proposal.replicas, name: `${name} ${of}${share}`, status };
}

async function evaluatePods(
  metric: Metric,
  client: MetricsClient,
  world: MetricWorld,
): Promise<Evaluation> {
  const source = metric.pods;
  if (!source) throw new Error('invalid pods metric source: no metric was named');
  const metrics = await client.pods(source.metric, world).catch((err: unknown) => {
    const text = `unable to get metric ${source.metric.name}`;
    throw new Error(`failed to get pods metric value: ${text}`, { cause: err });
  });
  const value = milliOf(source.target.averageValue);
  const { replicas, milli } = replicasForPods(
    world.specReplicas,
    { value },
    { ...world, metrics, isCpu: false },
  );
  const current = { averageValue: textOf(milli) };
  return {
    replicas,
    name: `pods metric ${source.metric.name}`,
    status: { type: 'Pods', pods: { metric: source.metric, current } },
  };
}

async function evaluateObject(
  metric: Metric,
  client: MetricsClient,
  world: MetricWorld,
): Promise<Evaluation> {
  const source = metric.object;
  if (!source) throw new Error('invalid object metric source: no object was named');
  const { describedObject, target } = source;
  const plural = await world.pluralOf(describedObject);
  const milli = await client
    .object(source.metric, describedObject, { namespace: world.namespace, plural })
    .catch((err: unknown) => {
      const { kind, name } = describedObject;
      const text = `unable to get metric ${source.metric.name}: ${kind} on ${world.namespace} ${name}`;
      throw new Error(`failed to get object metric value: ${text}`, {
        cause: err,
      });
    });
  const { replicas, current } = compared(milli, target, world);
  return {
    replicas,
    name: `${describedObject.kind} metric ${source.metric.name}`,
    status: { type: 'Object', object: { metric: source.metric, describedObject, current } },
  };
}

async function evaluateExternal(
  metric: Metric,
  client: MetricsClient,
  world: MetricWorld,
): Promise<Evaluation> {
  const source = metric.external;
  if (!source) throw new Error('invalid external metric source: no metric was named');
  const { namespace } = world;
  const { name, selector } = source.metric;
  const milli = await client.external(source.metric, namespace).catch((err: unknown) => {
    const text = `unable to get external metric ${namespace}/${name}/${selectorText(selector)}`;
    throw new Error(`failed to get ${name} external metric value: ${text}`, {
      cause: err,
    });
  });
  const { replicas, current } = compared(milli, source.target, world);
  return {
    replicas,
    name: `external metric ${name}(${selectorText(selector) || '<nil>'})`,
    status: { type: 'External', external: { metric: source.metric, current } },
  };
}

/** One value, against a value, or against so much for each Pod. */
function compared(milli: number, target: Target, world: MetricWorld) {
  const { tolerance } = world;
  if (target.averageValue !== undefined) {
    const share = { milli, targetMilli: milliOf(target.averageValue), pods: world.statusReplicas };
    const proposal = replicasForShare(world.specReplicas, share, tolerance);
    return { replicas: proposal.replicas, current: { averageValue: textOf(proposal.milli) } };
  }
  const readyPods = world.pods.filter(
    (pod) => pod.status?.phase === 'Running' && isPodReady(pod),
  ).length;
  const ratio = milli / milliOf(target.value);
  const replicas = replicasForRatio(world.specReplicas, ratio, { readyPods, tolerance });
  return { replicas, current: { value: textOf(milli) } };
}

/** Thousandths that each Pod asks for. Throws when one does not say. */
function requestsOf(
  pods: readonly Pod[],
  resource: string,
  container: string | undefined,
  namespace: string,
): Map<string, number> {
  return new Map(
    pods.map((pod) => {
      const ofPod = container === undefined ? pod.spec?.resources?.requests?.[resource] : undefined;
      const asked = ofPod === undefined ? containerRequests(pod, resource, container) : [ofPod];
      if (asked.length === 0) {
        throw new Error(
          `container ${container} not found in Pod ${namespace}/${pod.metadata.name}`,
        );
      }
      return [pod.metadata.name, asked.reduce((sum, text) => sum + milliOf(text), 0)];
    }),
  );
}

/** Of those containers that run all the time. */
function containerRequests(
  { metadata, spec }: Pod,
  resource: string,
  container: string | undefined,
): string[] {
  return [...(spec?.containers ?? []), ...(spec?.initContainers ?? []).filter(isSidecar)]
    .filter(({ name }) => container === undefined || name === container)
    .map(({ name, resources }) => {
      const asked = resources?.requests?.[resource];
      if (asked !== undefined) return asked;
      throw new Error(
        `failed to get ${resource} utilization: missing request for ${resource} in container ${name} of Pod ${metadata.name}`,
      );
    });
}

function milliOf(text: string | undefined): number {
  return milliValue(parseQuantity(text ?? '0'));
}

function textOf(milli: number): string {
  return formatQuantity(quantityOfMillis(milli));
}
