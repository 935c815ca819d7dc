import { type FieldError, invalid } from '../../../api/field-errors.ts';
import { CelCompileError } from '../../../cel/cel.ts';
import { withoutObjectTypes } from '../../admission/dynamic/object-literals.ts';
import { compileScoped, type ScopeName } from '../../admission/dynamic/scope.ts';

/** What is wrong with an expression: it must compile and, where a type is given, answer that. Nothing is right. */
export function compileErrors(
  expression: string,
  { scope, type }: { scope: ScopeName; type?: 'bool' | 'string' },
  field: string,
): FieldError[] {
  if (expression.trim() === '') return [];
  try {
    const source = scope === 'mutation' ? withoutObjectTypes(expression) : expression;
    const found = compileScoped(source, scope).type;
    if (type === undefined || found === type || found === 'dyn') return [];
    return [invalid(field, expression, `must evaluate to ${type}`)];
  } catch (err) {
    if (!(err instanceof CelCompileError)) throw err;
    return [invalid(field, expression, err.message)];
  }
}
