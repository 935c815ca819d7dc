import type { KubeObject } from '../../../api/types.ts';
import {
  type CelEnvironment,
  type CelProgram,
  celEnvironment,
  compileIn,
} from '../../../cel/cel.ts';
import { namespace } from '../../../cel/define.ts';
import { toCel } from '../../../cel/values.ts';
import type { AdmissionRequest } from '../../admission.ts';
import type { Authorizer } from '../../authz/authorizer.ts';
import type { ResourceKind } from '../../resource-kind.ts';
import { addAuthorizer, authorizerOf } from './authorizer-library.ts';
import { declareObject } from './schema-types.ts';
import { requestBody, type View } from './view.ts';

/** What expressions of webhooks and policies may name. */
export type ScopeName = 'condition' | 'policy' | 'message' | 'mutation';

const CONDITION = ['object', 'oldObject', 'request'];
const POLICY = [...CONDITION, 'namespaceObject', 'variables', 'params'];
const VARIABLES: Readonly<Record<ScopeName, readonly string[]>> = {
  condition: [...CONDITION, 'params', 'namespaceObject'],
  policy: POLICY,
  // Messages must not tell what others may do.
  message: POLICY,
  mutation: POLICY,
};

/** The type of `variables` where it is known what they are. */
export const VARIABLES_TYPE = 'kubernetes.variables';

const environments = new Map<ScopeName, CelEnvironment>();

function environmentOf(scope: ScopeName): CelEnvironment {
  const known = environments.get(scope);
  if (known) return known;
  const made = celEnvironment();
  declareScope(made, scope);
  environments.set(scope, made);
  return made;
}

/** Declares what expressions may name; what is not typed by `types` may be anything. */
export function declareScope(
  environment: CelEnvironment,
  scope: ScopeName,
  types: Readonly<Record<string, string>> = {},
): void {
  for (const name of VARIABLES[scope]) environment.registerVariable(name, types[name] ?? 'dyn');
  if (scope !== 'message') addAuthorizer(environment);
  if (scope === 'mutation') {
    const jsonpatch = namespace(environment, 'jsonpatch');
    environment.registerFunction(`${jsonpatch}.escapeKey(string): string`, escapeKey);
  }
}

/** RFC 6901: how a key stands in a path. */
function escapeKey(_: unknown, key: unknown): string {
  return String(key).replaceAll('~', '~0').replaceAll('/', '~1');
}

/** Compiles an expression. Throws CelCompileError. */
export function compileScoped(expression: string, scope: ScopeName): CelProgram {
  return compileIn(environmentOf(scope), expression);
}

/** The same, where only these variables of a policy are there to be named. */
export function compileWithVariables(
  expression: string,
  scope: ScopeName,
  variables: readonly string[],
): CelProgram {
  if (!expression.includes('variables')) return compileScoped(expression, scope);
  const made = celEnvironment();
  const fields = Object.fromEntries(variables.map((name) => [name, 'dyn']));
  declareObject(made, VARIABLES_TYPE, fields);
  declareScope(made, scope, { variables: VARIABLES_TYPE });
  return compileIn(made, expression);
}

/** The values of the variables for one request, seen as `kind`. */
export function scopeValues(
  parts: {
    request: AdmissionRequest;
    kind: ResourceKind;
    view: View;
    /** The namespace that the request is in. */
    within?: KubeObject | undefined;
  },
  authorizer: Authorizer,
): Record<string, unknown> {
  const { request, kind, view, within } = parts;
  const { user } = request;
  return {
    object: toCel(view.object ?? null),
    oldObject: toCel(view.old ?? null),
    request: toCel(requestBody(request, kind)),
    namespaceObject: toCel(within ?? null),
    params: null,
    variables: {},
    authorizer: authorizerOf(authorizer, user, request),
  };
}
