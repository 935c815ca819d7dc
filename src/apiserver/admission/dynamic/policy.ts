import { selects } from '../../../api/labels.ts';
import { apiVersionOf } from '../../../api/resource-types.ts';
import type { KubeObject, LabelSelector } from '../../../api/types.ts';
import type { CelProgram } from '../../../cel/cel.ts';
import { toCel } from '../../../cel/values.ts';
import { errorMessage } from '../../../util/errors.ts';
import type { AdmissionRequest } from '../../admission.ts';
import type { Authorizer } from '../../authz/authorizer.ts';
import type { ResourceKind } from '../../resource-kind.ts';
import { type PluginDeps, sharedObject } from '../plugin.ts';
import { judgeConditions, type MatchCondition } from './conditions.ts';
import { type MatchResources, matchedKind, namespaceOf, type Rule } from './match.ts';
import { compileScoped, type ScopeName, scopeValues } from './scope.ts';
import { type View, viewAs } from './view.ts';

interface Constraints {
  readonly resourceRules?: readonly Rule[];
  readonly excludeResourceRules?: readonly Rule[];
  readonly matchPolicy?: string;
  readonly namespaceSelector?: LabelSelector;
  readonly objectSelector?: LabelSelector;
}

/** What validating and mutating admission policies have in common. */
export interface PolicySpec {
  readonly paramKind?: { readonly apiVersion?: string; readonly kind?: string };
  readonly matchConstraints?: Constraints;
  readonly matchConditions?: readonly MatchCondition[];
  readonly variables?: readonly { readonly name: string; readonly expression: string }[];
  readonly failurePolicy?: string;
}

export interface BindingSpec {
  readonly policyName?: string;
  readonly paramRef?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly selector?: LabelSelector;
    readonly parameterNotFoundAction?: string;
  };
  readonly matchResources?: Constraints;
}

export interface Policy {
  readonly name: string;
  readonly spec: PolicySpec;
}

export interface Binding {
  readonly name: string;
  readonly spec: BindingSpec;
}

/** The policy could not be applied: its failure policy decides. */
export class PolicyFailure extends Error {
  override readonly name = 'PolicyFailure';
}

/** One policy that concerns a request, by one binding, with one object of parameters. */
export interface Application {
  readonly kind: ResourceKind;
  readonly view: View;
  /** Values of the variables, those of the policy included. */
  readonly values: Record<string, unknown>;
}

export interface PolicyDeps extends PluginDeps {
  readonly authorizer: () => Authorizer;
}

/** The ways in which a binding applies a policy to a request: none, or one for each object of parameters. */
export async function* applications(
  deps: PolicyDeps,
  { policy, binding }: { policy: Policy; binding: Binding },
  request: AdmissionRequest,
  seen?: SeenAs,
): AsyncGenerator<Application> {
  const kind = await matchedKind(deps, matchOf(policy.spec.matchConstraints, []), request);
  if (!kind || !(await bindingMatches(deps, binding, request))) return;
  const within = await namespaceOf(deps, request);
  for (const params of await paramsOf(deps, policy, binding, request)) {
    const { view, values: shared } = seenAs(deps, { request, kind, within }, seen);
    const values: Record<string, unknown> = { ...shared, params: toCel(params ?? null) };
    const result = await judgeConditions(policy.spec.matchConditions, () => values);
    if (result.matches === undefined) throw new PolicyFailure(result.error);
    if (!result.matches) continue;
    values.variables = await variablesOf(policy.spec, values);
    yield { kind, view, values };
  }
}

/** A request as its kinds show it, made once for all policies that only look at it. */
export type SeenAs = Map<ResourceKind, { view: View; values: Record<string, unknown> }>;

function seenAs(
  deps: PolicyDeps,
  parts: { request: AdmissionRequest; kind: ResourceKind; within: KubeObject | undefined },
  seen: SeenAs | undefined,
) {
  const known = seen?.get(parts.kind);
  if (known) return known;
  const view = viewAs(parts.request, parts.kind);
  const made = { view, values: scopeValues({ ...parts, view }, deps.authorizer()) };
  seen?.set(parts.kind, made);
  return made;
}

function matchOf(constraints: Constraints = {}, rules: readonly Rule[]): MatchResources {
  const { resourceRules, excludeResourceRules, matchPolicy } = constraints;
  const { namespaceSelector, objectSelector } = constraints;
  return {
    rules: resourceRules?.length ? resourceRules : rules,
    exclude: excludeResourceRules,
    ...{ matchPolicy, namespaceSelector, objectSelector },
  };
}

const EVERYTHING: Rule = {
  ...{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*', '*/*'] },
};

async function bindingMatches(
  deps: PolicyDeps,
  { spec }: Binding,
  request: AdmissionRequest,
): Promise<boolean> {
  if (!spec.matchResources) return true;
  const match = matchOf(spec.matchResources, [EVERYTHING]);
  return (await matchedKind(deps, match, request)) !== undefined;
}

/** The parameters that a binding names; `[undefined]` where it names none. Throws PolicyFailure where it must find some and does not. */
async function paramsOf(
  deps: PolicyDeps,
  { spec: { paramKind } }: Policy,
  { spec: { paramRef } }: Binding,
  request: AdmissionRequest,
): Promise<(KubeObject | undefined)[]> {
  if (!paramKind) return [undefined];
  if (!paramRef)
    throw new PolicyFailure('failed to configure binding: no paramRef for a policy with paramKind');
  const kind = deps.kinds
    .all()
    .find((one) => one.kind === paramKind.kind && apiVersionOf(one) === paramKind.apiVersion);
  if (!kind) {
    throw new PolicyFailure(
      `failed to configure binding: failed to find resource referenced by paramKind: '${paramKind.apiVersion}, Kind=${paramKind.kind}'`,
    );
  }
  const namespace = kind.namespaced ? (paramRef.namespace ?? request.namespace) : '';
  if (kind.namespaced && namespace === '') {
    throw new PolicyFailure(
      'failed to configure binding: cannot use namespaced paramRef in policy binding that matches cluster-scoped resources',
    );
  }
  const cache = await deps.state.cache(kind);
  const found = cache
    .slice(namespace)
    .filter(({ name, labels }) =>
      paramRef.name ? name === paramRef.name : selects(paramRef.selector ?? {}, labels),
    )
    .map(sharedObject);
  if (found.length > 0) return found;
  if (paramRef.parameterNotFoundAction === 'Allow') return [];
  throw new PolicyFailure(
    'failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction',
  );
}

const programs = new WeakMap<object, Map<string, CelProgram>>();

/** An expression of a policy, compiled once for as long as the policy stays as it is. Throws CelCompileError. */
export function compiledIn(spec: object, expression: string, scope: ScopeName): CelProgram {
  const known = programs.get(spec) ?? new Map<string, CelProgram>();
  programs.set(spec, known);
  const key = `${scope} ${expression}`;
  const program = known.get(key) ?? compileScoped(expression, scope);
  known.set(key, program);
  return program;
}

/** Each may use those before it; what is wrong with one is told where it is used. */
async function variablesOf(
  spec: PolicySpec,
  values: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const variables: Record<string, unknown> = {};
  for (const { name, expression } of spec.variables ?? []) {
    let result: { value: unknown } | { error: unknown };
    try {
      const program = compiledIn(spec, expression, 'policy');
      result = { value: await program({ ...values, variables }) };
    } catch (err) {
      result = { error: err };
    }
    const read = () => {
      if ('error' in result) throw result.error;
      return result.value;
    };
    Object.defineProperty(variables, name, { enumerable: true, get: read });
  }
  return variables;
}

/** Why an evaluation failed, on one line. */
export function evaluationText(expression: string, err: unknown): string {
  return `expression '${expression.trim()}' resulted in error: ${errorMessage(err).split('\n')[0]}`;
}
