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

const environments = new Map<ScopeName, CelEnvironment>();

function environmentOf(scope: ScopeName): CelEnvironment {
  const known = environments.get(scope);
  if (known) return known;
  const made = celEnvironment();
  for (const name of VARIABLES[scope]) made.registerVariable(name, 'dyn');
  if (scope !== 'message') addAuthorizer(made);
  if (scope === 'mutation') {
    const jsonpatch = namespace(made, 'jsonpatch');
    made.registerFunction(`${jsonpatch}.escapeKey(string): string`, escapeKey);
  }
  environments.set(scope, made);
  return made;
}

/** RFC 6901: how a key stands in a path. */
function escapeKey(_: unknown, key: unknown): string {
  return String(key).replaceAll('~', '~0').replaceAll('/', '~1');
}

/** Compiles an expression. Throws CelCompileError. */
export function compileScoped(expression: string, scope: ScopeName): CelProgram {
  return compileIn(environmentOf(scope), expression);
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
