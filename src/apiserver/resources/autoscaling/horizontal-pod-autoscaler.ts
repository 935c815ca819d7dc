import { HORIZONTAL_POD_AUTOSCALERS } from '../../../api/resource-types.ts';
import type { HorizontalPodAutoscaler } from '../../../api/types.ts';
import { defineKind, withStatus } from '../kind.ts';
import { HPA_COLUMNS, hpaRow } from './hpa-row.ts';
import { validateAutoscaler } from './validation.ts';

type Spec = NonNullable<HorizontalPodAutoscaler['spec']>;
type Rules = NonNullable<NonNullable<Spec['behavior']>['scaleUp']>;
type Policy = NonNullable<Rules['policies']>[number];

const CPU_PERCENT = 80;
const UP: readonly Policy[] = [
  { type: 'Pods', value: 4, periodSeconds: 15 },
  { type: 'Percent', value: 100, periodSeconds: 15 },
];
const DOWN: readonly Policy[] = [{ type: 'Percent', value: 100, periodSeconds: 15 }];

export function defaultAutoscaler({ spec }: HorizontalPodAutoscaler): void {
  if (!spec) return;
  spec.minReplicas ??= 1;
  if (!spec.metrics?.length) {
    const target = { type: 'Utilization', averageUtilization: CPU_PERCENT };
    spec.metrics = [{ type: 'Resource', resource: { name: 'cpu', target } }];
  }
  if (!spec.behavior) return;
  spec.behavior.scaleUp = completed(spec.behavior.scaleUp, UP);
  spec.behavior.scaleUp.stabilizationWindowSeconds ??= 0;
  spec.behavior.scaleDown = completed(spec.behavior.scaleDown, DOWN);
}

function completed(rules: Rules | undefined, policies: readonly Policy[]): Rules {
  const own = rules?.policies?.length ? rules.policies : structuredClone([...policies]);
  return { selectPolicy: 'Max', ...rules, policies: own };
}

export const horizontalPodAutoscalerKind = defineKind<HorizontalPodAutoscaler>({
  type: HORIZONTAL_POD_AUTOSCALERS,
  shortNames: ['hpa'],
  categories: ['all'],
  ...withStatus<HorizontalPodAutoscaler>({
    default: defaultAutoscaler,
    validate: validateAutoscaler,
    validateUpdate: validateAutoscaler,
  }),
  columns: HPA_COLUMNS,
  row: hpaRow,
});
