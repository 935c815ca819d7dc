import { HORIZONTAL_POD_AUTOSCALERS_V1 } from '../../../api/resource-types.ts';
import type {
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerV1,
  KubeObject,
} from '../../../api/types.ts';
import { defineKind, withStatus } from '../kind.ts';
import { HPA_COLUMNS, hpaRow } from './hpa-row.ts';
import { validateAutoscaler } from './validation.ts';

type Metric = NonNullable<NonNullable<HorizontalPodAutoscaler['spec']>['metrics']>[number];
type Current = NonNullable<
  NonNullable<HorizontalPodAutoscaler['status']>['currentMetrics']
>[number];

/** v1 knows one metric, the CPU percentage; it carries the rest of a v2 object in annotations. */
const METRICS = 'autoscaling.alpha.kubernetes.io/metrics';
const CURRENT = 'autoscaling.alpha.kubernetes.io/current-metrics';
const CONDITIONS = 'autoscaling.alpha.kubernetes.io/conditions';
const BEHAVIOR = 'autoscaling.alpha.kubernetes.io/behavior';

const isCpu = (metric: Metric): boolean =>
  metric.type === 'Resource' &&
  metric.resource?.name === 'cpu' &&
  metric.resource.target.averageUtilization !== undefined;

const isCurrentCpu = (metric: Current): boolean =>
  metric.type === 'Resource' && metric.resource?.name === 'cpu';

function toStored(object: KubeObject): KubeObject {
  const { metadata, spec, status, ...rest } = object as unknown as HorizontalPodAutoscalerV1;
  const { [METRICS]: metrics, [BEHAVIOR]: behavior, ...more } = metadata.annotations ?? {};
  const { [CURRENT]: current, [CONDITIONS]: conditions, ...annotations } = more;
  const { targetCPUUtilizationPercentage: percent, ...sameSpec } = spec ?? { maxReplicas: 0 };
  const { currentCPUUtilizationPercentage: now, ...sameStatus } = status ?? {};
  const target = { type: 'Utilization', averageUtilization: percent };
  const cpu: Metric[] =
    percent === undefined ? [] : [{ type: 'Resource', resource: { name: 'cpu', target } }];
  const currentCpu =
    now === undefined
      ? []
      : [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: now } } }];
  const { annotations: _dropped, ...meta } = metadata;
  return defined({
    ...rest,
    apiVersion: 'autoscaling/v2',
    metadata: { ...meta, ...(Object.keys(annotations).length > 0 ? { annotations } : {}) },
    spec: defined({
      ...sameSpec,
      metrics: listOr([...cpu, ...parsed<Metric[]>(metrics, [])]),
      behavior: parsed(behavior, undefined),
    }),
    status: status && {
      ...sameStatus,
      currentMetrics: [...currentCpu, ...parsed<unknown[]>(current, [])],
      conditions: parsed(conditions, undefined),
    },
  });
}

function fromStored(object: KubeObject): KubeObject {
  const { metadata, spec, status, ...rest } = object as unknown as HorizontalPodAutoscaler;
  const { metrics = [], behavior, ...sameSpec } = spec ?? { maxReplicas: 0 };
  const { currentMetrics = [], conditions, ...sameStatus } = status ?? {};
  const cpu = metrics.find(isCpu);
  const others = metrics.filter((metric) => metric !== cpu);
  const currentCpu = currentMetrics?.find(isCurrentCpu);
  const currentOthers = (currentMetrics ?? []).filter((metric) => metric !== currentCpu);
  const annotations = defined({
    ...metadata.annotations,
    [METRICS]: text(others),
    [BEHAVIOR]: behavior && JSON.stringify(behavior),
    [CURRENT]: text(currentOthers),
    [CONDITIONS]: text(conditions ?? []),
  });
  return defined({
    ...rest,
    apiVersion: 'autoscaling/v1',
    metadata: { ...metadata, ...(Object.keys(annotations).length > 0 ? { annotations } : {}) },
    spec: defined({
      ...sameSpec,
      targetCPUUtilizationPercentage: cpu?.resource?.target.averageUtilization,
    }),
    status:
      status &&
      defined({
        ...sameStatus,
        currentCPUUtilizationPercentage: currentCpu?.resource?.current.averageUtilization,
      }),
  });
}

function text(list: readonly unknown[]): string | undefined {
  return list.length === 0 ? undefined : JSON.stringify(list);
}

function listOr<T>(list: T[]): T[] | undefined {
  return list.length === 0 ? undefined : list;
}

/** Annotations are user input: what cannot be read is as if it were not there. */
function parsed<T>(source: string | undefined, otherwise: T): T {
  if (source === undefined) return otherwise;
  try {
    return JSON.parse(source) as T;
  } catch {
    return otherwise;
  }
}

function defined(object: Record<string, unknown>): KubeObject {
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) => value !== undefined),
  ) as KubeObject;
}

const asStored = (object: HorizontalPodAutoscalerV1): HorizontalPodAutoscaler =>
  toStored(object as unknown as KubeObject) as unknown as HorizontalPodAutoscaler;

export const horizontalPodAutoscalerV1Kind = defineKind<HorizontalPodAutoscalerV1>({
  type: HORIZONTAL_POD_AUTOSCALERS_V1,
  shortNames: ['hpa'],
  categories: ['all'],
  ...withStatus<HorizontalPodAutoscalerV1>({
    default({ spec }) {
      if (!spec) return;
      spec.minReplicas ??= 1;
    },
    validate: (object) => validateAutoscaler(asStored(object)),
    validateUpdate: (object) => validateAutoscaler(asStored(object)),
  }),
  storedAs: { group: 'autoscaling', version: 'v2', toStored, fromStored },
  columns: HPA_COLUMNS,
  row: (object, now) => hpaRow(asStored(object), now),
});
