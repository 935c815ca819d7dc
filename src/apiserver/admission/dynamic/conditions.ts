import type { CelProgram } from '../../../cel/cel.ts';
import { errorMessage } from '../../../util/errors.ts';
import { compileScoped } from './scope.ts';

export interface MatchCondition {
  readonly name: string;
  readonly expression: string;
}

/** What the conditions say of a request: `false` leaves it alone, an error is for the failure policy. */
export type ConditionResult =
  | { readonly matches: boolean }
  | { readonly matches: undefined; readonly error: string };

const compiled = new WeakMap<readonly MatchCondition[], CelProgram[]>();

/** A condition that is false counts more than one that fails (KEP-3716). */
export async function judgeConditions(
  conditions: readonly MatchCondition[] | undefined,
  values: () => Record<string, unknown>,
): Promise<ConditionResult> {
  if (!conditions?.length) return { matches: true };
  const variables = values();
  let error: string | undefined;
  for (const [index, program] of programsOf(conditions).entries()) {
    try {
      if ((await program(variables)) !== true) return { matches: false };
    } catch (err) {
      error ??= `matchCondition ${JSON.stringify(conditions[index]?.name)}: ${errorMessage(err).split('\n')[0]}`;
    }
  }
  return error === undefined ? { matches: true } : { matches: undefined, error };
}

function programsOf(conditions: readonly MatchCondition[]): CelProgram[] {
  const known = compiled.get(conditions);
  if (known) return known;
  const made = conditions.map(({ expression }) => compileScoped(expression, 'condition'));
  compiled.set(conditions, made);
  return made;
}
