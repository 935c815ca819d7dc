import {
  MUTATING_ADMISSION_POLICIES,
  MUTATING_ADMISSION_POLICY_BINDINGS,
  VALIDATING_ADMISSION_POLICIES,
  VALIDATING_ADMISSION_POLICY_BINDINGS,
} from '../../../api/system-resource-types.ts';
import type {
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from '../../../api/types.ts';
import type { Cell } from '../../resource-kind.ts';
import { age, formatSelector } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN, withStatus } from '../kind.ts';
import {
  validateMutatingPolicy,
  validatePolicyBinding,
  validateValidatingBinding,
  validateValidatingPolicy,
} from './validation.ts';

type AnyPolicy = MutatingAdmissionPolicy | ValidatingAdmissionPolicy;
type AnyBinding = MutatingAdmissionPolicyBinding | ValidatingAdmissionPolicyBinding;
type Match = NonNullable<NonNullable<AnyPolicy['spec']>['matchConstraints']>;

function defaultMatch(match: Match | undefined): void {
  if (!match) return;
  match.matchPolicy ??= 'Equivalent';
  match.namespaceSelector ??= {};
  match.objectSelector ??= {};
  for (const rule of [...(match.resourceRules ?? []), ...(match.excludeResourceRules ?? [])]) {
    rule.scope ??= '*';
  }
}

function defaultPolicy({ spec }: AnyPolicy): void {
  if (!spec) return;
  spec.failurePolicy ??= 'Fail';
  defaultMatch(spec.matchConstraints);
}

function paramKindText({ spec }: AnyPolicy): string {
  const kind = spec?.paramKind;
  return kind ? `${kind.apiVersion ?? ''}/${kind.kind ?? ''}` : '<unset>';
}

function paramRefText({ spec }: AnyBinding): string {
  const ref = spec?.paramRef;
  if (!ref) return '<unset>';
  const target = ref.name || (ref.selector ? formatSelector(ref.selector) : '');
  return ref.namespace ? `${ref.namespace}/${target}` : `*/${target}`;
}

const BINDING_COLUMNS = [
  NAME_COLUMN,
  column('PolicyName', 'Policy that it puts to work.'),
  column('ParamRef', 'Parameters that it gives.'),
  AGE_COLUMN,
];

function bindingRow(binding: AnyBinding, now: number): Cell[] {
  return [
    binding.metadata.name,
    binding.spec?.policyName ?? '',
    paramRefText(binding),
    age(binding.metadata.creationTimestamp, now),
  ];
}

export const validatingAdmissionPolicyKind = defineKind<ValidatingAdmissionPolicy>({
  type: VALIDATING_ADMISSION_POLICIES,
  categories: ['api-extensions'],
  ...withStatus<ValidatingAdmissionPolicy>({
    statusAlone: true,
    default: defaultPolicy,
    validate: validateValidatingPolicy,
    validateUpdate: validateValidatingPolicy,
    generationFields: ['spec'],
  }),
  columns: [
    NAME_COLUMN,
    column('Validations', 'How many validations it has.', { type: 'integer' }),
    column('ParamKind', 'Kind of its parameters.'),
    AGE_COLUMN,
  ],
  row: (policy, now) => [
    policy.metadata.name,
    policy.spec?.validations?.length ?? 0,
    paramKindText(policy),
    age(policy.metadata.creationTimestamp, now),
  ],
});

export const mutatingAdmissionPolicyKind = defineKind<MutatingAdmissionPolicy>({
  type: MUTATING_ADMISSION_POLICIES,
  categories: ['api-extensions'],
  strategy: {
    default: defaultPolicy,
    validate: validateMutatingPolicy,
    validateUpdate: validateMutatingPolicy,
    generationFields: ['spec'],
  },
  columns: [
    NAME_COLUMN,
    column('Mutations', 'How many mutations it has.', { type: 'integer' }),
    column('ParamKind', 'Kind of its parameters.'),
    AGE_COLUMN,
  ],
  row: (policy, now) => [
    policy.metadata.name,
    policy.spec?.mutations?.length ?? 0,
    paramKindText(policy),
    age(policy.metadata.creationTimestamp, now),
  ],
});

export const validatingAdmissionPolicyBindingKind = defineKind<ValidatingAdmissionPolicyBinding>({
  type: VALIDATING_ADMISSION_POLICY_BINDINGS,
  categories: ['api-extensions'],
  strategy: {
    default: ({ spec }) => defaultMatch(spec?.matchResources),
    validate: validateValidatingBinding,
    validateUpdate: validateValidatingBinding,
    generationFields: ['spec'],
  },
  columns: BINDING_COLUMNS,
  row: bindingRow,
});

export const mutatingAdmissionPolicyBindingKind = defineKind<MutatingAdmissionPolicyBinding>({
  type: MUTATING_ADMISSION_POLICY_BINDINGS,
  categories: ['api-extensions'],
  strategy: {
    default: ({ spec }) => defaultMatch(spec?.matchResources),
    validate: validatePolicyBinding,
    validateUpdate: validatePolicyBinding,
    generationFields: ['spec'],
  },
  columns: BINDING_COLUMNS,
  row: bindingRow,
});
