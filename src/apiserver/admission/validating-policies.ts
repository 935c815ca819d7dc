import { ApiError, REASON_CODES } from '../../api/errors.ts';
import {
  VALIDATING_ADMISSION_POLICIES,
  VALIDATING_ADMISSION_POLICY_BINDINGS,
} from '../../api/system-resource-types.ts';
import type { ValidatingAdmissionPolicy } from '../../api/types.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { isExempt } from './dynamic/match.ts';
import {
  type Application,
  applications,
  type Binding,
  compiledIn,
  evaluationText,
  type Policy,
  type PolicyDeps,
  PolicyFailure,
  type SeenAs,
} from './dynamic/policy.ts';
import { allOf, forbiddenByAdmission } from './plugin.ts';

type Spec = NonNullable<ValidatingAdmissionPolicy['spec']>;
type Validation = NonNullable<Spec['validations']>[number];

interface Denial {
  readonly policy: string;
  readonly binding: string;
  readonly message: string;
  readonly reason: string;
  readonly index: number;
}

interface Bound {
  readonly policy: Policy & { readonly spec: Spec };
  readonly binding: Binding & { readonly actions: readonly string[] };
}

/** Rules in CEL about what may be written (KEP-3488). All are judged; the first denial is the answer. */
export function validatingPolicies(deps: PolicyDeps): AdmissionPlugin {
  return {
    name: 'ValidatingAdmissionPolicy',
    async validate(request) {
      if (isExempt(request)) return;
      const denials: Denial[] = [];
      const seen: SeenAs = new Map();
      for (const bound of await boundPolicies(deps)) {
        const found = await judge(deps, bound, request, seen);
        denials.push(...act(bound, request, found));
      }
      const [first] = denials;
      if (first) throw denied(request, first);
    },
  };
}

/** Warns and records as the binding asks; answers what denies the request. */
function act(bound: Bound, request: AdmissionRequest, found: readonly Denial[]): readonly Denial[] {
  const { actions } = bound.binding;
  if (found.length === 0) return [];
  if (actions.includes('Warn')) for (const one of found) warn(request, one);
  if (actions.includes('Audit')) audit(request, bound, found);
  return actions.includes('Deny') ? found : [];
}

async function boundPolicies(deps: PolicyDeps): Promise<Bound[]> {
  const policies = await allOf(deps, VALIDATING_ADMISSION_POLICIES);
  if (policies.length === 0) return [];
  const bindings = await allOf(deps, VALIDATING_ADMISSION_POLICY_BINDINGS);
  return policies.flatMap(({ metadata: { name }, spec }) =>
    bindings
      .filter((binding) => binding.spec?.policyName === name)
      .map((binding) => ({
        policy: { name, spec: (spec ?? {}) as Bound['policy']['spec'] },
        binding: {
          name: binding.metadata.name,
          spec: (binding.spec ?? {}) as Binding['spec'],
          actions: binding.spec?.validationActions ?? [],
        },
      })),
  );
}

async function judge(
  deps: PolicyDeps,
  bound: Bound,
  request: AdmissionRequest,
  seen: SeenAs,
): Promise<Denial[]> {
  const { policy, binding } = bound;
  const denials: Denial[] = [];
  const deny = (message: string, reason = 'Invalid', index = 0) =>
    denials.push({ policy: policy.name, binding: binding.name, message, reason, index });
  try {
    for await (const application of applications(deps, bound, request, seen)) {
      for (const [index, validation] of (policy.spec.validations ?? []).entries()) {
        const why = await failure(policy.spec, validation, application);
        if (why !== undefined) deny(why, validation.reason, index);
      }
      await annotate(bound, request, application);
    }
  } catch (err) {
    if (!(err instanceof PolicyFailure)) throw err;
    if (policy.spec.failurePolicy !== 'Ignore') deny(err.message);
  }
  return denials;
}

/** Why a validation fails; undefined when it holds. */
async function failure(
  spec: Spec,
  validation: Validation,
  { values }: Application,
): Promise<string | undefined> {
  const { expression } = validation;
  try {
    if ((await compiledIn(spec, expression, 'policy')(values)) === true) return undefined;
  } catch (err) {
    throw new PolicyFailure(evaluationText(expression, err), { cause: err });
  }
  const { message, messageExpression } = validation;
  const made = messageExpression ? await messageOf(spec, messageExpression, values) : undefined;
  return made ?? (message || `failed expression: ${expression.trim()}`);
}

const MAX_MESSAGE = 5 * 1024;

/** A message that cannot be made is replaced by the fixed one. */
async function messageOf(
  spec: Spec,
  expression: string,
  values: Record<string, unknown>,
): Promise<string | undefined> {
  try {
    const made = await compiledIn(spec, expression, 'message')(values);
    if (typeof made !== 'string' || made.trim() === '' || made.includes('\n')) return undefined;
    return made.length > MAX_MESSAGE ? undefined : made.trim();
  } catch {
    return undefined;
  }
}

async function annotate(
  { policy }: Bound,
  request: AdmissionRequest,
  { values }: Application,
): Promise<void> {
  for (const { key, valueExpression } of policy.spec.auditAnnotations ?? []) {
    try {
      const value = await compiledIn(policy.spec, valueExpression, 'policy')(values);
      if (typeof value === 'string') request.annotate(`${policy.name}/${key}`, value.trim());
    } catch (err) {
      throw new PolicyFailure(evaluationText(valueExpression, err), { cause: err });
    }
  }
}

function warn(request: AdmissionRequest, { policy, binding, message }: Denial): void {
  request.warn(
    `Validation failed for ValidatingAdmissionPolicy '${policy}' with binding '${binding}': ${message}`,
  );
}

function audit(request: AdmissionRequest, { binding }: Bound, denials: readonly Denial[]): void {
  const failures = denials.map(({ message, policy, index }) => ({
    message,
    policy,
    binding: binding.name,
    expressionIndex: index,
    validationActions: binding.actions,
  }));
  const key = 'validation.policy.admission.k8s.io/validation_failure';
  request.annotate(key, JSON.stringify(failures));
}

function denied(request: AdmissionRequest, { policy, binding, message, reason }: Denial): ApiError {
  const text = `ValidatingAdmissionPolicy '${policy}' with binding '${binding}' denied request: ${message}`;
  const forbidden = forbiddenByAdmission(request, text);
  const code = (REASON_CODES as Record<string, number>)[reason] ?? 422;
  const causes = [{ message: text }];
  return new ApiError(reason, forbidden.message, {
    code,
    details: { ...forbidden.details, causes },
  });
}
