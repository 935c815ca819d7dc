import { type FieldError, invalid } from '../../../api/field-errors.ts';
import { CelCompileError } from '../../../cel/cel.ts';
import { withoutObjectTypes } from '../../admission/dynamic/object-literals.ts';
import { compileWithVariables, type ScopeName } from '../../admission/dynamic/scope.ts';

export interface CompileRules {
  readonly scope: ScopeName;
  /** What it must evaluate to. */
  readonly type?: 'bool' | 'string';
  /** Names of the variables that it may use. */
  readonly variables?: readonly string[];
}

/** What is wrong with an expression: it must compile and, where a type is given, answer that. Nothing is right. */
export function compileErrors(
  expression: string,
  { scope, type, variables = [] }: CompileRules,
  field: string,
): FieldError[] {
  if (expression.trim() === '') return [];
  try {
    const source = scope === 'mutation' ? withoutObjectTypes(expression) : expression;
    const found = compileWithVariables(source, scope, variables).type;
    if (type === undefined || found === type || found === 'dyn') return [];
    return [invalid(field, expression, `must evaluate to ${type}`)];
  } catch (err) {
    if (!(err instanceof CelCompileError)) throw err;
    return [invalid(field, expression, err.message)];
  }
}
