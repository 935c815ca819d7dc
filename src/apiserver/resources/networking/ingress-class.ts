import { INGRESS_CLASSES } from '../../../api/resource-types.ts';
import type { IngressClass } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN } from '../kind.ts';
import { validateIngressClass, validateIngressClassUpdate } from './validation.ts';

function parametersText({ spec }: IngressClass): string {
  const parameters = spec?.parameters;
  if (!parameters) return '<none>';
  const group = parameters.apiGroup === undefined ? '' : `.${parameters.apiGroup}`;
  return `${parameters.kind}${group}/${parameters.name}`;
}

export const ingressClassKind = defineKind<IngressClass>({
  type: INGRESS_CLASSES,
  strategy: {
    default({ spec }) {
      if (spec?.parameters) spec.parameters.scope ??= 'Cluster';
    },
    validate: validateIngressClass,
    validateUpdate: validateIngressClassUpdate,
    generationFields: ['spec'],
  },
  columns: [
    NAME_COLUMN,
    column('Controller', 'Controller that serves Ingresses of this class.'),
    column('Parameters', 'Object with more settings for that controller.'),
    AGE_COLUMN,
  ],
  row: (ingressClass, now) => [
    ingressClass.metadata.name,
    ingressClass.spec?.controller ?? '',
    parametersText(ingressClass),
    age(ingressClass.metadata.creationTimestamp, now),
  ],
});
