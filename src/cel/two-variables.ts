import type { Environment } from '@marcbachmann/cel-js';
import { isObject } from '../util/json.ts';
import { definer } from './define.ts';
import { CelCostError } from './meter.ts';

// Macros of two variables (cel-go ext comprehensions.go): index and item of a list, key and value of a map.

/** The parts of cel-js that a macro meets. */
interface Node {
  readonly op: string;
  readonly args: unknown;
}
interface Type {
  readonly kind: string;
  readonly name: string;
  readonly keyType?: Type;
  readonly valueType?: Type;
}
interface Context {
  /** Set when somebody still waits within it: it cannot be used for another turn then. */
  async?: boolean;
  forkWithVariable(name: string, type: Type): Context;
  reuse(parent: Context): Context;
  setIterValue(value: unknown, evaluator: Evaluator): Context;
}
interface Checker {
  check(node: Node, context: Context): Type;
  createError(code: string, message: string, node: Node): Error;
  readonly registry: {
    getType(name: string): Type;
    getListType(item: Type): Type;
    getMapType(key: Type, value: Type): Type;
  };
}
interface Evaluator {
  run(node: Node, context: Context): unknown;
  createError(code: string, message: string, node: Node): Error;
}

/** What is made of what the bodies answer, turn by turn. */
interface Fold {
  readonly bodies: readonly Node[];
  /** How many of the bodies, from the first, must answer a boolean. */
  readonly predicates: number;
  typeOf(checker: Checker, key: Type, results: readonly Type[]): Type;
  fold(turns: Iterable<Turn>): Steps;
}
interface Turn {
  readonly key: unknown;
  /** What a body answers, or a promise of it. Throws what it throws. */
  body(index: number): unknown;
}

/** Yields what may have to be waited for, and is given what came of it. */
type Steps = Generator<unknown, unknown, unknown>;

interface Macro extends Fold {
  readonly ast: Node;
  readonly range: Node;
  readonly names: readonly [string, string];
  keyContext?: Context;
  valueContext?: Context;
  /** Nodes that are evaluated for each turn, for those who count and estimate. */
  readonly metered: readonly Node[];
  typeCheck(checker: Checker, macro: Macro, context: Context): Type;
  evaluate(evaluator: Evaluator, macro: Macro, context: Context): unknown;
}

export function addTwoVariables(environment: Environment): void {
  const define = definer(environment);
  const macro = (name: string, bodies: number, returns: string, make: (all: Node[]) => Fold) => {
    const parameters = Array(2 + bodies)
      .fill('ast')
      .join(', ');
    define(`list.${name}(${parameters}): ${returns}`, expander(name, make) as never);
  };
  for (const [name, fold] of Object.entries(QUANTIFIERS)) {
    macro(name, 1, 'bool', (bodies) => ({
      ...{ bodies, predicates: 1, typeOf: ({ registry }) => registry.getType('bool'), fold },
    }));
  }
  for (const filtered of [false, true]) {
    const bodies = filtered ? 2 : 1;
    const predicates = filtered ? 1 : 0;
    for (const [name, { returns, typeOf, fold }] of Object.entries(TRANSFORMS)) {
      macro(name, bodies, returns, (all) => ({
        ...{ bodies: all, predicates, typeOf },
        fold: (turns) => fold(turns, { filtered, body: bodies - 1 }),
      }));
    }
  }
}

/** An error counts only where no other turn decides. */
function* decide(turns: Iterable<Turn>, decisive: boolean): Steps {
  let failed: { readonly err: unknown } | undefined;
  for (const turn of turns) {
    try {
      if ((yield turn.body(0)) === decisive) return decisive;
    } catch (err) {
      if (err instanceof CelCostError) throw err;
      failed ??= { err };
    }
  }
  if (failed) throw failed.err;
  return !decisive;
}

const QUANTIFIERS: Readonly<Record<string, Fold['fold']>> = {
  all: (turns) => decide(turns, false),
  exists: (turns) => decide(turns, true),
  *existsOne(turns) {
    let count = 0;
    for (const turn of turns) if ((yield turn.body(0)) === true) count++;
    return count === 1;
  },
};

interface Transform {
  readonly returns: string;
  readonly typeOf: Fold['typeOf'];
  fold(turns: Iterable<Turn>, of: Transformed): Steps;
}

/** Which body makes the result, and whether the first one says of which turns. */
interface Transformed {
  readonly body: number;
  readonly filtered: boolean;
}

const TRANSFORMS: Readonly<Record<string, Transform>> = {
  transformList: {
    returns: 'list<dyn>',
    typeOf: ({ registry }, _key, results) => registry.getListType(last(results)),
    *fold(turns, of) {
      const items: unknown[] = [];
      yield* eachResult(turns, of, (_key, item) => items.push(item));
      return items;
    },
  },
  transformMap: {
    returns: 'map',
    typeOf: ({ registry }, key, results) => registry.getMapType(key, last(results)),
    *fold(turns, of) {
      const entries = new Map<unknown, unknown>();
      yield* eachResult(turns, of, (key, value) => entries.set(key, value));
      return entries;
    },
  },
  transformMapEntry: {
    returns: 'map',
    typeOf: (_checker, _key, results) => last(results),
    *fold(turns, of) {
      const merged = new Map<unknown, unknown>();
      yield* eachResult(turns, of, (_key, result) => {
        for (const [key, value] of entriesOf(result) ?? []) {
          if (merged.has(key)) throw new Error(`insert failed: key '${key}' already exists`);
          merged.set(key, value);
        }
      });
      return merged;
    },
  },
};

function last(types: readonly Type[]): Type {
  return types.at(-1) as Type;
}

function* eachResult(
  turns: Iterable<Turn>,
  { body, filtered }: Transformed,
  take: (key: unknown, result: unknown) => void,
): Steps {
  for (const turn of turns) {
    if (filtered && (yield turn.body(0)) !== true) continue;
    take(turn.key, yield turn.body(body));
  }
  return undefined;
}

/** Takes the steps, at once as long as none of them waits. */
function taken(steps: Steps, advance = () => steps.next()): unknown {
  for (let step = advance(); ; ) {
    const { value, done } = step;
    if (done) return value;
    if (value instanceof Promise) {
      return value.then(
        (answer) => taken(steps, () => steps.next(answer)),
        (err) => taken(steps, () => steps.throw(err)),
      );
    }
    step = steps.next(value);
  }
}

function expander(name: string, make: (bodies: Node[]) => Fold) {
  return ({ ast, args, receiver }: { ast: Node; args: Node[]; receiver: Node }): Macro => {
    const [key, value, ...bodies] = args;
    if (key?.op !== 'id' || value?.op !== 'id' || key.args === value.args) {
      throw new Error(`${name}(var, var, …) needs two different variables`);
    }
    return {
      ...make(bodies),
      ...{ ast, range: receiver, names: [String(key.args), String(value.args)] as const },
      ...{ metered: [receiver, ...bodies], typeCheck, evaluate },
    };
  };
}

function typeCheck(checker: Checker, macro: Macro, context: Context): Type {
  const range = checker.check(macro.range, context);
  const [key, value] = memberTypes(checker, range);
  if (!key || !value) {
    const message = 'The range of a comprehension must be list, map, or dynamic';
    throw checker.createError('invalid_comprehension_range', message, macro.range);
  }
  macro.keyContext = context.forkWithVariable(macro.names[0], key);
  const inner = macro.keyContext.forkWithVariable(macro.names[1], value);
  macro.valueContext = inner;
  const results = macro.bodies.map((body) => checker.check(body, inner));
  for (const [index, { kind, name }] of results.entries()) {
    const body = macro.bodies[index];
    if (index >= macro.predicates || name === 'bool' || kind === 'dyn' || !body) continue;
    throw checker.createError('invalid_macro_argument', 'predicate must return bool', body);
  }
  return macro.typeOf(checker, key, results);
}

function memberTypes({ registry }: Checker, range: Type): (Type | undefined)[] {
  if (range.kind === 'dyn') return [range, range];
  if (range.kind === 'list') return [registry.getType('int'), range.valueType];
  return range.kind === 'map' ? [range.keyType, range.valueType] : [];
}

function evaluate(evaluator: Evaluator, macro: Macro, context: Context): unknown {
  const entries = entriesOf(evaluator.run(macro.range, context));
  const { keyContext, valueContext } = macro;
  if (!entries || !keyContext || !valueContext) {
    const message = 'The range of a comprehension must be list or map';
    throw evaluator.createError('invalid_comprehension_range', message, macro.range);
  }
  const body = (index: number, key: unknown, value: unknown): unknown => {
    const node = macro.bodies[index] as Node;
    const outer = keyContext.reuse(context).setIterValue(key, evaluator);
    const answer = evaluator.run(node, valueContext.reuse(outer).setIterValue(value, evaluator));
    const isPredicate = index < macro.predicates;
    if (!(answer instanceof Promise)) return bool(answer, isPredicate, node);
    keyContext.async = true;
    valueContext.async = true;
    return answer.then((settled) => bool(settled, isPredicate, node));
  };
  const bool = (answer: unknown, isPredicate: boolean, node: Node): unknown => {
    if (!isPredicate || typeof answer === 'boolean') return answer;
    throw evaluator.createError('invalid_macro_argument', 'predicate must return bool', node);
  };
  const turns = function* (): Generator<Turn> {
    for (const [key, value] of entries) yield { key, body: (index) => body(index, key, value) };
  };
  return taken(macro.fold(turns()));
}

function entriesOf(range: unknown): Iterable<[unknown, unknown]> | undefined {
  if (Array.isArray(range)) return range.map((item, index) => [BigInt(index), item]);
  if (range instanceof Map) return range;
  return isObject(range) ? Object.entries(range) : undefined;
}
