import { ApiError } from '../../api/errors.ts';
import { apiVersionOf } from '../../api/resource-types.ts';
import type { Schema } from '../../api/schema.ts';
import {
  MUTATING_ADMISSION_POLICIES,
  MUTATING_ADMISSION_POLICY_BINDINGS,
} from '../../api/system-resource-types.ts';
import type { KubeObject, MutatingAdmissionPolicy } from '../../api/types.ts';
import { fromCel } from '../../cel/values.ts';
import { errorMessage } from '../../util/errors.ts';
import { isObject, jsonEqual } from '../../util/json.ts';
import type { AdmissionPlugin, AdmissionRequest, MutationRound } from '../admission.ts';
import { applyJsonPatch } from '../patch/json-patch.ts';
import { applyConfiguration } from '../server-side-apply.ts';
import { isExempt } from './dynamic/match.ts';
import { withoutObjectTypes } from './dynamic/object-literals.ts';
import {
  type Application,
  applications,
  type Binding,
  compiledIn,
  evaluationText,
  type Policy,
  type PolicyDeps,
  PolicyFailure,
} from './dynamic/policy.ts';
import { takeBack } from './dynamic/view.ts';
import { allOf, forbiddenByAdmission } from './plugin.ts';

type Spec = NonNullable<MutatingAdmissionPolicy['spec']>;
type Mutation = NonNullable<Spec['mutations']>[number];

export interface MutatingPolicyDeps extends PolicyDeps {
  readonly schema: Schema;
}

interface Bound {
  readonly policy: Policy & { readonly spec: Spec };
  readonly binding: Binding;
}

/** Changes in CEL of what is written (KEP-3962), policy by policy in the order of their names. */
export function mutatingPolicies(deps: MutatingPolicyDeps): AdmissionPlugin {
  return {
    name: 'MutatingAdmissionPolicy',
    async mutate(request, round) {
      if (isExempt(request) || !request.object) return;
      for (const bound of await boundPolicies(deps)) {
        const id = `${bound.policy.name}/${bound.binding.name}`;
        if (!isDue(bound, id, request, round)) continue;
        if (await apply(deps, bound, request)) round.again = true;
        round.outcomes.set(id, JSON.stringify(request.object));
      }
    },
  };
}

function isDue(
  { policy }: Bound,
  id: string,
  request: AdmissionRequest,
  round: MutationRound,
): boolean {
  if (!round.isSecond) return true;
  const before = round.outcomes.get(id);
  if (before === undefined || policy.spec.reinvocationPolicy !== 'IfNeeded') return false;
  return before !== JSON.stringify(request.object);
}

async function boundPolicies(deps: PolicyDeps): Promise<Bound[]> {
  const policies = await allOf(deps, MUTATING_ADMISSION_POLICIES);
  if (policies.length === 0) return [];
  const bindings = await allOf(deps, MUTATING_ADMISSION_POLICY_BINDINGS);
  return policies.flatMap(({ metadata: { name }, spec }) =>
    bindings
      .filter((binding) => binding.spec?.policyName === name)
      .map((binding) => ({
        policy: { name, spec: (spec ?? {}) as Bound['policy']['spec'] },
        binding: {
          name: binding.metadata.name,
          spec: (binding.spec ?? {}) as Binding['spec'],
        },
      })),
  );
}

/** True when the object was changed. */
async function apply(
  deps: MutatingPolicyDeps,
  bound: Bound,
  request: AdmissionRequest,
): Promise<boolean> {
  const { policy, binding } = bound;
  let changed = false;
  try {
    for await (const application of applications(deps, bound, request)) {
      if (await applyAll(deps, policy.spec, request, application)) changed = true;
    }
  } catch (err) {
    if (!(err instanceof PolicyFailure)) throw err;
    if (policy.spec.failurePolicy === 'Ignore') return changed;
    throw forbiddenByAdmission(
      request,
      `policy '${policy.name}' with binding '${binding.name}' denied request: ${err.message}`,
    );
  }
  return changed;
}

async function applyAll(
  { schema }: MutatingPolicyDeps,
  spec: Spec,
  request: AdmissionRequest,
  { kind, view, values }: Application,
): Promise<boolean> {
  const { object } = view;
  if (!object) return false;
  let current: KubeObject = object;
  for (const mutation of spec.mutations ?? []) {
    current = await mutate(current, { mutation, spec, values }, { kind, schema, now: request.now });
  }
  if (jsonEqual(current, object)) return false;
  takeBack(request, current, { kind, schema });
  return true;
}

async function mutate(
  current: KubeObject,
  { mutation, spec, values }: { mutation: Mutation; spec: Spec; values: Record<string, unknown> },
  write: { kind: Application['kind']; schema: Schema; now: number },
): Promise<KubeObject> {
  const expression =
    mutation.jsonPatch?.expression ?? mutation.applyConfiguration?.expression ?? '';
  try {
    const program = compiledIn(spec, withoutObjectTypes(expression), 'mutation');
    const result = fromCel(await program(values));
    if (mutation.patchType === 'JSONPatch') return applyJsonPatch(current, result) as KubeObject;
    return merged(current, result, write);
  } catch (err) {
    if (err instanceof ApiError) throw new PolicyFailure(errorMessage(err), { cause: err });
    throw new PolicyFailure(evaluationText(expression, err), { cause: err });
  }
}

/** Merges like server-side apply, but holds no fields afterwards. */
function merged(
  current: KubeObject,
  configuration: unknown,
  { kind, schema, now }: { kind: Application['kind']; schema: Schema; now: number },
): KubeObject {
  if (!isObject(configuration)) throw new Error('the expression does not answer an Object');
  const { managedFields, name = '', ...metadata } = current.metadata;
  const given = configuration as Partial<KubeObject>;
  const config = {
    ...given,
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    metadata: { ...given.metadata, name },
  } as KubeObject;
  const live = { ...current, metadata: { ...metadata, name } };
  const options = { kind, schema, subresource: '', manager: 'admission', force: true, now };
  const result = applyConfiguration(live, config, options);
  const kept = { ...result.metadata };
  delete kept.managedFields;
  if (managedFields) kept.managedFields = managedFields;
  if (current.metadata.name === undefined) delete kept.name;
  return { ...result, metadata: kept };
}
