import type { HorizontalPodAutoscaler } from '../../../api/types.ts';
import type { Cell } from '../../resource-kind.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, NAME_COLUMN } from '../kind.ts';

export const HPA_COLUMNS = [
  NAME_COLUMN,
  column('Reference', 'What it scales.'),
  column('Targets', 'Metrics now, of those aimed at.'),
  column('MinPods', 'Fewest Pods.'),
  column('MaxPods', 'Most Pods.'),
  column('Replicas', 'Pods now.'),
  AGE_COLUMN,
];

type Spec = NonNullable<HorizontalPodAutoscaler['spec']>;
type Metric = NonNullable<Spec['metrics']>[number];
type Current = NonNullable<
  NonNullable<HorizontalPodAutoscaler['status']>['currentMetrics']
>[number];
type Target = NonNullable<Metric['resource']>['target'];
type Value = NonNullable<Current['resource']>['current'];

const SHOWN = 2;
const UNKNOWN = '<unknown>';

export function hpaRow({ metadata, spec, status }: HorizontalPodAutoscaler, now: number): Cell[] {
  const ref = spec?.scaleTargetRef;
  return [
    metadata.name,
    `${ref?.kind ?? ''}/${ref?.name ?? ''}`,
    metricsText(spec?.metrics ?? [], status?.currentMetrics ?? []),
    spec?.minReplicas === undefined ? '<unset>' : String(spec.minReplicas),
    spec?.maxReplicas ?? 0,
    status?.currentReplicas ?? 0,
    age(metadata.creationTimestamp, now),
  ];
}

function metricsText(metrics: readonly Metric[], currents: readonly Current[]): string {
  if (metrics.length === 0) return '<none>';
  const texts = metrics.map((metric, index) => metricText(metric, currents[index]));
  const shown = texts.slice(0, SHOWN).join(', ');
  return texts.length > SHOWN ? `${shown} + ${texts.length - SHOWN} more...` : shown;
}

function metricText(metric: Metric, current: Current | undefined): string {
  switch (metric.type) {
    case 'Resource':
      return resourceText(metric.resource, current?.resource?.current);
    case 'ContainerResource':
      return resourceText(metric.containerResource, current?.containerResource?.current);
    case 'Pods':
      return `${current?.pods?.current.averageValue ?? UNKNOWN}/${metric.pods?.target.averageValue ?? ''}`;
    case 'External':
      return valueText(metric.external?.target, current?.external?.current);
    case 'Object':
      return valueText(metric.object?.target, current?.object?.current);
    default:
      return '<unknown type>';
  }
}

function resourceText(
  source: { name: string; target: Target } | undefined,
  current: Value | undefined,
): string {
  const name = source?.name ?? '';
  const target = source?.target;
  if (target?.averageValue !== undefined) {
    return `${name}: ${current?.averageValue ?? UNKNOWN}/${target.averageValue}`;
  }
  const now = current?.averageUtilization;
  const aim = target?.averageUtilization;
  return `${name}: ${now === undefined ? UNKNOWN : `${now}%`}/${aim === undefined ? '<auto>' : `${aim}%`}`;
}

function valueText(target: Target | undefined, current: Value | undefined): string {
  if (target?.averageValue !== undefined) {
    return `${current?.averageValue ?? UNKNOWN}/${target.averageValue} (avg)`;
  }
  return `${current?.value ?? UNKNOWN}/${target?.value ?? ''}`;
}
