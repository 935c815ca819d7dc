/** How large a value may be: characters of a string, items of a list, entries of a map. */
export interface Sized {
  readonly size: number;
  /** Of a list's items or a map's values. */
  item?(): Sized;
  field?(name: string): Sized | undefined;
}

type Scope = ReadonlyMap<string, Sized>;

interface Estimate {
  readonly cost: number;
  readonly value: Sized;
}

/** The part of a node of cel-js that is looked at. */
interface Node {
  readonly op: string;
  // biome-ignore lint/suspicious/noExplicitAny: the library's nodes are what they are
  readonly args: any;
  readonly meta?: { readonly alternate?: Node; readonly macro?: Macro };
}

/** A macro of two variables: its range, and what it does in each turn. */
interface Macro {
  readonly metered?: readonly Node[];
  readonly names?: readonly [string, string];
}

const ONE: Sized = { size: 1 };
/** cel-go's price of looking at one character, and of one character of a pattern. */
const CHARACTER = 0.1;
const PATTERN = 0.25;

/**
 * What an expression may cost at most, in cel-go's units, given how large its variables may be (cel-go checker/cost.go,
 * apiserver cel/library/cost.go). What is not known counts little: nothing is refused for want of knowledge.
 */
export function estimateCost(root: unknown, variables: Readonly<Record<string, Sized>>): number {
  return Math.ceil(estimate(root as Node, new Map(Object.entries(variables))).cost);
}

function estimate(node: Node, scope: Scope): Estimate {
  if (node.meta?.alternate) return estimate(node.meta.alternate, scope);
  if (node.meta?.macro) return macro(node.meta.macro, scope);
  const visit = VISITORS[node.op];
  return visit ? visit(node, scope) : operation(node, scope);
}

type Visitor = (node: Node, scope: Scope) => Estimate;

const VISITORS: Readonly<Record<string, Visitor>> = {
  value: ({ args }) => ({ cost: 0, value: { size: typeof args === 'string' ? args.length : 1 } }),
  id: ({ args }, scope) => ({ cost: 1, value: scope.get(String(args)) ?? ONE }),
  '.': select,
  '.?': select,
  '[]': index,
  '[?]': index,
  '?:': conditional,
  call: ({ args: [name, args] }, scope) => called(name, args, scope),
  rcall: ({ args: [name, receiver, args] }, scope) => called(name, [receiver, ...args], scope),
  comprehension,
  list: literal,
  accuPush: ({ args }, scope) => ({ cost: 1 + estimate(args, scope).cost, value: ONE }),
  accuValue: () => ({ cost: 1, value: ONE }),
  accuInc: () => ({ cost: 1, value: ONE }),
};

function select({ args: [receiver, name] }: Node, scope: Scope): Estimate {
  const { cost, value } = estimate(receiver, scope);
  return { cost: cost + 1, value: value.field?.(String(name)) ?? value.item?.() ?? ONE };
}

function index({ args: [receiver, at] }: Node, scope: Scope): Estimate {
  const { cost, value } = estimate(receiver, scope);
  return { cost: cost + 1 + estimate(at, scope).cost, value: value.item?.() ?? ONE };
}

function conditional({ args: [condition, left, right] }: Node, scope: Scope): Estimate {
  const [a, b] = [estimate(left, scope), estimate(right, scope)];
  const cost = estimate(condition, scope).cost + Math.max(a.cost, b.cost);
  return { cost, value: a.value.size > b.value.size ? a.value : b.value };
}

function literal({ args }: Node, scope: Scope): Estimate {
  const items = (args as Node[]).map((item) => estimate(item, scope));
  const item = items.reduce((most, { value }) => (value.size > most.size ? value : most), ONE);
  const cost = items.reduce((sum, one) => sum + one.cost, 0);
  return { cost: cost + 10, value: { size: items.length, item: () => item } };
}

function comprehension({ args }: Node, scope: Scope): Estimate {
  const { iterable, iterVarName, init, step, kind } = args;
  const range = estimate(iterable, scope);
  const inner = new Map(scope).set(iterVarName, range.value.item?.() ?? ONE);
  const turn = estimate(step, inner).cost + 1;
  const cost = range.cost + estimate(init, scope).cost + range.value.size * turn;
  // What map and filter make has at most as many items.
  return { cost, value: kind === 'quantifier' ? ONE : range.value };
}

function macro({ metered = [], names }: Macro, scope: Scope): Estimate {
  const [range, ...bodies] = metered;
  if (!range || !names) return { cost: 1, value: ONE };
  const { cost, value } = estimate(range, scope);
  const inner = new Map(scope).set(names[0], ONE).set(names[1], value.item?.() ?? ONE);
  const turn = bodies.reduce((sum, body) => sum + estimate(body, inner).cost, 1);
  return { cost: cost + value.size * turn, value };
}

/** What remains: `&&`, `==`, `+`, … */
function operation({ op, args }: Node, scope: Scope): Estimate {
  const parts = [args]
    .flat()
    .filter(isNode)
    .map((part: Node) => estimate(part, scope));
  const cost = parts.reduce((sum, part) => sum + part.cost, 0);
  const [a = ONE, b = ONE] = parts.map(({ value }) => value);
  switch (op) {
    case '==':
    case '!=':
    case '<':
    case '<=':
    case '>':
    case '>=':
      return { cost: cost + Math.max(1, Math.min(a.size, b.size) * CHARACTER), value: ONE };
    case 'in':
      return { cost: cost + b.size, value: ONE };
    case '+':
      return {
        cost: cost + Math.max(1, (a.size + b.size) * CHARACTER),
        value: { ...a, size: a.size + b.size },
      };
    case '&&':
    case '||':
      return { cost, value: ONE };
    default:
      return { cost: cost + 1, value: ONE };
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'op' in value;
}

const PER_ITEM = new Set(['isSorted', 'sum', 'min', 'max', 'indexOf', 'lastIndexOf', 'join']);
const PATTERNS = new Set(['matches', 'find', 'findAll']);
const CHEAP = new Set(['size', 'hasValue', 'value', 'orValue', 'type', 'dyn']);

function called(name: string, nodes: readonly Node[], scope: Scope): Estimate {
  const parts = nodes.map((node) => estimate(node, scope));
  const before = parts.reduce((sum, { cost }) => sum + cost, 0);
  const [a = ONE, b = ONE] = parts.map(({ value }) => value);
  const value = name === 'split' ? { size: a.size, item: () => a } : a;
  return {
    cost: before + Math.max(1, own(name, a.size, b.size)),
    value: CHEAP.has(name) ? ONE : value,
  };
}

function own(name: string, a: number, b: number): number {
  if (CHEAP.has(name)) return 1;
  if (PATTERNS.has(name)) return (a + 1) * CHARACTER * (b * PATTERN);
  if (name === 'contains') return a * CHARACTER * (b * CHARACTER);
  if (name === 'startsWith' || name === 'endsWith') return b * CHARACTER;
  if (PER_ITEM.has(name)) return a;
  return a * CHARACTER;
}
