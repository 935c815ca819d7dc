import { Environment } from '@marcbachmann/cel-js';
import { estimateCost, type Sized } from './cost.ts';
import { addFormats } from './formats.ts';
import { addLists } from './lists.ts';
import { compileMessage } from './messages.ts';
import { CelBudget, CelCostError, Meter, PER_CALL_LIMIT } from './meter.ts';
import { addNetwork } from './network.ts';
import { allowIndexInHas } from './presence.ts';
import { addQuantitiesLibrary } from './quantities.ts';
import { addStrings } from './strings.ts';
import { addTwoVariables } from './two-variables.ts';
import { addVersions } from './versions.ts';

/** An expression that does not compile. */
export class CelCompileError extends Error {
  override readonly name = 'CelCompileError';
}

/**
 * A compiled expression. Throws when it cannot be evaluated on what it is given, CelCostError when it does too much.
 * What it does is taken from `budget`. Answers a promise only if a function of the environment does.
 */
export interface CelProgram {
  (variables: Readonly<Record<string, unknown>>, budget?: CelBudget): unknown;
  /** The type of what it answers: `bool`, `string`, `dyn`, … */
  readonly type: string;
  /** What it may cost at most, given how large its variables may be. */
  cost(variables: Readonly<Record<string, Sized>>): number;
}

export type CelEnvironment = Environment;

const LIMITS = { maxAstNodes: 10_000, maxDepth: 100 };

let kubernetes: Environment | undefined;

/** A fresh environment with CEL's standard library and Kubernetes' own; variables, types and functions can be added to it. */
export function celEnvironment(): CelEnvironment {
  kubernetes ??= kubernetesEnvironment();
  return kubernetes.clone();
}

function kubernetesEnvironment(): Environment {
  const environment = new Environment({
    unlistedVariablesAreDyn: false,
    homogeneousAggregateLiterals: false,
    enableOptionalTypes: true,
    limits: LIMITS,
  });
  addLists(environment);
  addStrings(environment);
  addNetwork(environment);
  addQuantitiesLibrary(environment);
  addVersions(environment);
  addFormats(environment);
  addTwoVariables(environment);
  return environment;
}

const environments = new Map<string, CelEnvironment>();

/** Compiles a CEL expression that may use `variables` of any type. Throws CelCompileError. */
export function compileCel(expression: string, variables: readonly string[]): CelProgram {
  const key = variables.join();
  let environment = environments.get(key);
  if (environment === undefined) {
    environment = celEnvironment();
    for (const name of variables) environment.registerVariable(name, 'dyn');
    environments.set(key, environment);
  }
  return compileIn(environment, expression);
}

/** Compiles in an environment of the caller's. Throws CelCompileError. */
export function compileIn(environment: CelEnvironment, expression: string): CelProgram {
  try {
    const program = environment.parse(expression);
    allowIndexInHas(program.ast);
    const { valid, error, type } = program.check();
    if (!valid) throw error;
    const meter = new Meter();
    meter.install(program.ast);
    return Object.assign(metered(program, meter), {
      type: type ?? 'dyn',
      cost: (variables: Readonly<Record<string, Sized>>) => estimateCost(program.ast, variables),
    });
  } catch (err) {
    throw new CelCompileError(compileMessage(err, expression), { cause: err });
  }
}

function metered(
  program: (variables: Record<string, unknown>) => unknown,
  meter: Meter,
): (variables: Readonly<Record<string, unknown>>, budget?: CelBudget) => unknown {
  // The counter is the program's: who waits within it must be done before it counts for another.
  let waiting: Promise<unknown> | undefined;
  const run = (variables: Readonly<Record<string, unknown>>, budget: CelBudget): unknown => {
    const allowed = Math.min(PER_CALL_LIMIT, budget.left);
    meter.left = allowed;
    const settle = (): void => {
      budget.left -= allowed - meter.left;
    };
    const counted = (result: unknown): unknown => {
      // What was swallowed on the way must not count as an answer.
      if (meter.left < 0) throw new CelCostError('operation cancelled: actual cost limit exceeded');
      return result;
    };
    let isPending = false;
    try {
      const result = program(variables as Record<string, unknown>);
      if (!(result instanceof Promise)) return counted(result);
      isPending = true;
      return result.then(counted).finally(settle);
    } finally {
      if (!isPending) settle();
    }
  };
  return (variables, budget = new CelBudget()) => {
    const result = waiting
      ? waiting.catch(() => undefined).then(() => run(variables, budget))
      : run(variables, budget);
    if (!(result instanceof Promise)) return result;
    const own = result.finally(() => {
      if (waiting === own) waiting = undefined;
    });
    waiting = own;
    return own;
  };
}
