import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  required,
} from '../../../api/field-errors.ts';
import { inRange, labelValue, qualifiedName } from '../../../api/names.ts';
import type { PodSpec } from '../../../api/types.ts';
import {
  checked,
  each,
  mustBeThere,
  oneOf,
  optionalOneOf,
  repeated,
  validateLabelSelector,
} from '../validation.ts';
import { validateLabelKeys } from './label-keys.ts';

type Affinity = NonNullable<PodSpec['affinity']>;
type PodTerm = NonNullable<
  NonNullable<Affinity['podAffinity']>['requiredDuringSchedulingIgnoredDuringExecution']
>[number];
type NodeTerm = NonNullable<
  NonNullable<Affinity['nodeAffinity']>['requiredDuringSchedulingIgnoredDuringExecution']
>['nodeSelectorTerms'][number];
export type Toleration = NonNullable<PodSpec['tolerations']>[number];

const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export function validateTolerations(
  tolerations: readonly Toleration[] | undefined,
  path: string,
): FieldError[] {
  return each(tolerations, path, (toleration, at) => {
    const { key, operator = '', effect, tolerationSeconds } = toleration;
    const out: FieldError[] = [];
    if (key) out.push(...checked(key, qualifiedName, `${at}.key`));
    else if (operator !== 'Exists') {
      const detail =
        'operator must be Exists when `key` is empty, which means "match all values and all keys"';
      out.push(invalid(`${at}.operator`, operator, detail));
    }
    if (tolerationSeconds !== undefined && effect !== 'NoExecute') {
      const detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
      out.push(invalid(`${at}.effect`, effect ?? '', detail));
    }
    out.push(...validateTolerationOperator(toleration, `${at}.operator`));
    return effect ? [...out, ...oneOf(effect, EFFECTS, `${at}.effect`)] : out;
  });
}

function validateTolerationOperator(toleration: Toleration, field: string): FieldError[] {
  const { operator = 'Equal', value } = toleration;
  if (operator === 'Equal') return value ? checked(value, labelValue, field) : [];
  if (operator !== 'Exists') return oneOf(operator, ['Equal', 'Exists'], field);
  return value
    ? [invalid(field, toleration, "value must be empty when `operator` is 'Exists'")]
    : [];
}

export function validateAffinity(affinity: Affinity | undefined, path: string): FieldError[] {
  if (!affinity) return [];
  const out: FieldError[] = [];
  const { nodeAffinity } = affinity;
  if (nodeAffinity) {
    const at = `${path}.nodeAffinity`;
    const needed = nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution;
    if (needed) {
      const field = `${at}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms`;
      if (needed.nodeSelectorTerms.length === 0) {
        out.push(required(field, 'must have at least one node selector term'));
      }
      for (const [i, term] of needed.nodeSelectorTerms.entries()) {
        out.push(...validateNodeTerm(term, `${field}[${i}]`));
      }
    }
    const wished = nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    for (const [i, { weight, preference }] of wished.entries()) {
      const field = `${at}.preferredDuringSchedulingIgnoredDuringExecution[${i}]`;
      out.push(...validateWeight(weight, field));
      out.push(...validateNodeTerm(preference, `${field}.preference`));
    }
  }
  for (const part of ['podAffinity', 'podAntiAffinity'] as const) {
    out.push(...validatePodAffinity(affinity[part], `${path}.${part}`));
  }
  return out;
}

function validatePodAffinity(affinity: Affinity['podAffinity'], path: string): FieldError[] {
  const out: FieldError[] = [];
  const needed = affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  for (const [i, term] of needed.entries()) {
    const at = `${path}.requiredDuringSchedulingIgnoredDuringExecution[${i}]`;
    out.push(...validatePodTerm(term, at));
  }
  const wished = affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  for (const [i, { weight, podAffinityTerm }] of wished.entries()) {
    const at = `${path}.preferredDuringSchedulingIgnoredDuringExecution[${i}]`;
    out.push(...validateWeight(weight, at));
    out.push(...validatePodTerm(podAffinityTerm, `${at}.podAffinityTerm`));
  }
  return out;
}

function validateWeight(weight: number, path: string): FieldError[] {
  const ok = inRange(weight, 1, 100).length === 0;
  return ok ? [] : [invalid(`${path}.weight`, weight, 'must be in the range 1-100')];
}

function validatePodTerm(term: PodTerm, path: string): FieldError[] {
  const out = validateLabelSelector(term.labelSelector, `${path}.labelSelector`);
  out.push(...validateLabelSelector(term.namespaceSelector, `${path}.namespaceSelector`));
  out.push(...validateLabelKeys(term, path));
  if (!term.topologyKey) {
    out.push(required(`${path}.topologyKey`, 'can not be empty'));
  }
  return [...out, ...checked(term.topologyKey, qualifiedName, `${path}.topologyKey`)];
}

const NODE_OPERATORS = ['DoesNotExist', 'Exists', 'Gt', 'In', 'Lt', 'NotIn'];

export function validateNodeTerm(term: NodeTerm, path: string): FieldError[] {
  const out: FieldError[] = [];
  for (const [i, expression] of (term.matchExpressions ?? []).entries()) {
    const at = `${path}.matchExpressions[${i}]`;
    out.push(...validateNodeExpression(expression, at));
    out.push(...checked(expression.key, qualifiedName, `${at}.key`));
  }
  for (const [i, { key, operator, values = [] }] of (term.matchFields ?? []).entries()) {
    const at = `${path}.matchFields[${i}]`;
    if (operator !== 'In' && operator !== 'NotIn') {
      out.push(invalid(`${at}.operator`, operator, 'not a valid selector operator'));
    } else if (values.length !== 1) {
      const detail =
        "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
      out.push(required(`${at}.values`, detail));
    }
    if (key !== 'metadata.name') {
      out.push(invalid(`${at}.key`, key, 'not a valid field selector key'));
    }
  }
  return out;
}

function validateNodeExpression(
  { operator, values = [] }: NonNullable<NodeTerm['matchExpressions']>[number],
  at: string,
): FieldError[] {
  const field = `${at}.values`;
  if (operator === 'In' || operator === 'NotIn') {
    const detail = "must be specified when `operator` is 'In' or 'NotIn'";
    return values.length === 0 ? [required(field, detail)] : [];
  }
  if (operator === 'Exists' || operator === 'DoesNotExist') {
    const detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
    return values.length > 0 ? [forbidden(field, detail)] : [];
  }
  if (NODE_OPERATORS.includes(operator)) {
    const detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
    return values.length === 1 ? [] : [required(field, detail)];
  }
  return [invalid(`${at}.operator`, operator, 'not a valid selector operator')];
}

type Constraint = NonNullable<PodSpec['topologySpreadConstraints']>[number];

export function validateSpread(
  constraints: PodSpec['topologySpreadConstraints'],
  path: string,
): FieldError[] {
  const pairOf = (c: Constraint) => `{${c.topologyKey}, ${c.whenUnsatisfiable}}`;
  const doubles = repeated(constraints ?? [], pairOf);
  return each(constraints, path, (constraint, at, index) => {
    const { maxSkew, topologyKey, whenUnsatisfiable } = constraint;
    const out: FieldError[] = [];
    if (maxSkew <= 0) out.push(invalid(`${at}.maxSkew`, maxSkew, 'must be greater than zero'));
    out.push(...mustBeThere(topologyKey, `${at}.topologyKey`, 'can not be empty'));
    if (topologyKey) out.push(...checked(topologyKey, qualifiedName, `${at}.topologyKey`));
    const actions = ['DoNotSchedule', 'ScheduleAnyway'];
    out.push(...oneOf(whenUnsatisfiable, actions, `${at}.whenUnsatisfiable`));
    const pair = doubles.get(index);
    if (pair) out.push(duplicate(`${at}.{topologyKey, whenUnsatisfiable}`, pair));
    for (const part of ['nodeAffinityPolicy', 'nodeTaintsPolicy'] as const) {
      out.push(...optionalOneOf(constraint[part], ['Honor', 'Ignore'], `${at}.${part}`));
    }
    out.push(...validateMinDomains(constraint, `${at}.minDomains`));
    out.push(...validateLabelKeys(constraint, at));
    return [...out, ...validateLabelSelector(constraint.labelSelector, `${at}.labelSelector`)];
  });
}

function validateMinDomains(constraint: Constraint, field: string): FieldError[] {
  const { minDomains, whenUnsatisfiable } = constraint;
  if (minDomains === undefined) return [];
  const out: FieldError[] = [];
  if (minDomains <= 0) out.push(invalid(field, minDomains, 'must be greater than zero'));
  if (whenUnsatisfiable !== 'DoNotSchedule') {
    const detail = `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${whenUnsatisfiable}`;
    out.push(invalid(field, minDomains, detail));
  }
  return out;
}
