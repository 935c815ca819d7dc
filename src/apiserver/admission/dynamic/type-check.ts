import { apiVersionOf } from '../../../api/resource-types.ts';
import type { Schema } from '../../../api/schema.ts';
import type { ValidatingAdmissionPolicy } from '../../../api/types.ts';
import {
  CelCompileError,
  type CelEnvironment,
  celEnvironment,
  compileIn,
} from '../../../cel/cel.ts';
import type { KindRegistry } from '../../kind-registry.ts';
import type { ResourceKind } from '../../resource-kind.ts';
import { declareObject, SchemaTypes } from './schema-types.ts';
import { declareScope, type ScopeName, VARIABLES_TYPE } from './scope.ts';

type Spec = NonNullable<ValidatingAdmissionPolicy['spec']>;

export interface ExpressionWarning {
  readonly fieldRef: string;
  readonly warning: string;
}

export interface TypeCheckDeps {
  readonly kinds: Pick<KindRegistry, 'get' | 'all'>;
  readonly schema: Schema;
}

// Upstream's: a policy that is about more is checked against some.
const MAX_KINDS = 10;

/**
 * What is wrong with the expressions of a policy given the structure of the kinds that it is about, by field. Only
 * kinds that rules name in full are looked at; a rule with `*` may be about anything.
 */
export function typeWarnings(spec: Spec, deps: TypeCheckDeps): ExpressionWarning[] {
  const scopes = kindsOf(spec, deps).map((kind) => ({
    kind,
    scope: new TypedScope(spec, kind, deps),
  }));
  const out: ExpressionWarning[] = [];
  const check = (expression: string | undefined, name: ScopeName, fieldRef: string) => {
    if (!expression) return;
    const found = scopes.flatMap(({ kind, scope }) => {
      const error = scope.errorIn(expression, name);
      return error === undefined ? [] : [`${title(kind)}: ${error}\n`];
    });
    if (found.length > 0) out.push({ fieldRef, warning: found.join('\n') });
  };
  for (const [i, { expression, messageExpression }] of (spec.validations ?? []).entries()) {
    check(expression, 'policy', `spec.validations[${i}].expression`);
    check(messageExpression, 'message', `spec.validations[${i}].messageExpression`);
  }
  return out;
}

/** As upstream prints a GroupVersionKind. */
function title({ group, version, kind }: ResourceKind): string {
  return `${group}/${version}, Kind=${kind}`;
}

function kindsOf({ matchConstraints }: Spec, { kinds }: TypeCheckDeps): ResourceKind[] {
  const found = (matchConstraints?.resourceRules ?? []).flatMap((rule) => {
    const { apiGroups = [], apiVersions = [], resources = [] } = rule;
    return apiGroups.flatMap((group) =>
      apiVersions.flatMap((version) =>
        // No kind is called `*`.
        resources.flatMap((resource) => kinds.get(group, version, resource) ?? []),
      ),
    );
  });
  return [...new Set(found)].slice(0, MAX_KINDS);
}

/** What expressions of one policy may name when they are about one kind. */
class TypedScope {
  readonly #environments: Readonly<Record<'policy' | 'message', CelEnvironment>>;

  constructor(spec: Spec, kind: ResourceKind, { kinds, schema }: TypeCheckDeps) {
    const base = celEnvironment();
    const types = new SchemaTypes(schema, base);
    const object = types.ofDefinition(kind.definition);
    const { paramKind } = spec;
    const params = kinds
      .all()
      .find((one) => one.kind === paramKind?.kind && apiVersionOf(one) === paramKind.apiVersion);
    const known = {
      ...{ object, oldObject: object },
      ...(params ? { params: types.ofDefinition(params.definition) } : {}),
    };
    const variables: Record<string, string> = Object.create(null);
    const scope = (name: ScopeName) => environment(base, name, { known, variables });
    for (const { name, expression } of spec.variables ?? []) {
      variables[name] = typeIn(scope('policy'), expression);
    }
    this.#environments = { policy: scope('policy'), message: scope('message') };
  }

  errorIn(expression: string, scope: ScopeName): string | undefined {
    const within = this.#environments[scope === 'message' ? 'message' : 'policy'];
    try {
      compileIn(within, expression);
      return undefined;
    } catch (err) {
      if (err instanceof CelCompileError) return err.message;
      throw err;
    }
  }
}

function environment(
  base: CelEnvironment,
  scope: ScopeName,
  { known, variables }: Readonly<Record<'known' | 'variables', Readonly<Record<string, string>>>>,
): CelEnvironment {
  const made = base.clone();
  declareObject(made, VARIABLES_TYPE, variables);
  declareScope(made, scope, { ...known, variables: VARIABLES_TYPE });
  return made;
}

/** What a variable holds. One that does not compile may hold anything: its error is told where it is used. */
function typeIn(scope: CelEnvironment, expression: string): string {
  try {
    return compileIn(scope, expression).type;
  } catch (err) {
    if (err instanceof CelCompileError) return 'dyn';
    throw err;
  }
}
