import { type FieldError, forbidden, invalid, required } from '../../../api/field-errors.ts';
import { pathSegmentName } from '../../../api/names.ts';
import { compareQuantities, parseQuantity, ZERO } from '../../../api/quantity.ts';
import type { HorizontalPodAutoscaler } from '../../../api/types.ts';
import { each, notNegative, oneOf, requiredAnd } from '../validation.ts';

type Spec = NonNullable<HorizontalPodAutoscaler['spec']>;
type Metric = NonNullable<Spec['metrics']>[number];
type Rules = NonNullable<NonNullable<Spec['behavior']>['scaleUp']>;

const SOURCES = {
  ContainerResource: 'containerResource',
  External: 'external',
  Object: 'object',
  Pods: 'pods',
  Resource: 'resource',
} as const;
const MAX_WINDOW = 3600;
const MAX_PERIOD = 1800;

export function validateAutoscaler({ spec }: HorizontalPodAutoscaler): FieldError[] {
  if (!spec) return [required('spec')];
  const { minReplicas = 1, maxReplicas, scaleTargetRef } = spec;
  const out: FieldError[] = [];
  if (minReplicas < 1) {
    out.push(invalid('spec.minReplicas', minReplicas, 'must be greater than or equal to 1'));
  }
  if (maxReplicas < 1) out.push(invalid('spec.maxReplicas', maxReplicas, 'must be greater than 0'));
  if (maxReplicas < minReplicas) {
    const detail = 'must be greater than or equal to `minReplicas`';
    out.push(invalid('spec.maxReplicas', maxReplicas, detail));
  }
  const at = 'spec.scaleTargetRef';
  return [
    ...out,
    ...requiredAnd(scaleTargetRef.kind, pathSegmentName, `${at}.kind`),
    ...requiredAnd(scaleTargetRef.name, pathSegmentName, `${at}.name`),
    ...each(spec.metrics, 'spec.metrics', validateMetric),
    ...validateRules(spec.behavior?.scaleUp, 'spec.behavior.scaleUp'),
    ...validateRules(spec.behavior?.scaleDown, 'spec.behavior.scaleDown'),
  ];
}

function validateMetric(metric: Metric, at: string): FieldError[] {
  if (!metric.type) return [required(`${at}.type`, 'must specify a metric source type')];
  const wrong = oneOf(metric.type, Object.keys(SOURCES), `${at}.type`);
  if (wrong.length > 0) return wrong;
  const own = SOURCES[metric.type as keyof typeof SOURCES];
  const out: FieldError[] = [];
  for (const source of Object.values(SOURCES)) {
    if (source === own || metric[source] === undefined) continue;
    out.push(forbidden(`${at}.${source}`, 'must populate the given metric source only'));
  }
  const source = metric[own];
  if (!source) {
    return [
      ...out,
      required(`${at}.${own}`, 'must populate information for the given metric source'),
    ];
  }
  if ('name' in source && !source.name) {
    out.push(required(`${at}.${own}.name`, 'must specify a resource name'));
  }
  return [...out, ...validateTarget(source.target, `${at}.${own}.target`)];
}

function validateTarget(
  target: NonNullable<Metric['resource']>['target'],
  at: string,
): FieldError[] {
  const out = oneOf(target.type, ['AverageValue', 'Utilization', 'Value'], `${at}.type`);
  for (const part of ['value', 'averageValue'] as const) {
    const text = target[part];
    if (text === undefined || compareQuantities(parseQuantity(text), ZERO) > 0) continue;
    out.push(invalid(`${at}.${part}`, text, 'must be positive'));
  }
  if (target.averageUtilization !== undefined && target.averageUtilization < 1) {
    const detail = 'must be greater than 0';
    out.push(invalid(`${at}.averageUtilization`, target.averageUtilization, detail));
  }
  return out;
}

function validateRules(rules: Rules | undefined, at: string): FieldError[] {
  if (!rules) return [];
  const window = rules.stabilizationWindowSeconds;
  const out = notNegative(window, `${at}.stabilizationWindowSeconds`);
  if ((window ?? 0) > MAX_WINDOW) {
    const detail = `must be less than or equal to ${MAX_WINDOW}`;
    out.push(invalid(`${at}.stabilizationWindowSeconds`, window, detail));
  }
  if (rules.selectPolicy !== undefined) {
    out.push(...oneOf(rules.selectPolicy, ['Disabled', 'Max', 'Min'], `${at}.selectPolicy`));
  }
  if (!rules.policies?.length)
    out.push(required(`${at}.policies`, 'must specify at least one Policy'));
  return [
    ...out,
    ...each(rules.policies, `${at}.policies`, ({ type, value, periodSeconds }, where) => [
      ...oneOf(type, ['Percent', 'Pods'], `${where}.type`),
      ...(value <= 0 ? [invalid(`${where}.value`, value, 'must be greater than zero')] : []),
      ...(periodSeconds <= 0
        ? [invalid(`${where}.periodSeconds`, periodSeconds, 'must be greater than zero')]
        : []),
      ...(periodSeconds > MAX_PERIOD
        ? [
            invalid(
              `${where}.periodSeconds`,
              periodSeconds,
              `must be less than or equal to ${MAX_PERIOD}`,
            ),
          ]
        : []),
    ]),
  ];
}
