import { linearRegExp } from '../util/linear-regexp.ts';

/** An expression that did more than it may. */
export class CelCostError extends Error {
  override readonly name = 'CelCostError';
}

/** What the expressions about one object may cost together; one alone may use a tenth (apiserver cel PerCallLimit, RuntimeCELCostBudget). */
export class CelBudget {
  left: number;

  constructor(left = 10_000_000) {
    this.left = left;
  }
}

export const PER_CALL_LIMIT = 1_000_000;

/** The part of a checked node of cel-js that metering needs. */
interface AstNode {
  readonly op: string;
  readonly args: unknown;
  readonly meta?: {
    readonly alternate?: AstNode;
    readonly macro?: { readonly metered?: readonly unknown[] };
  };
  evaluate(evaluator: unknown, ast: unknown, context: unknown): unknown;
  handle?: (...args: unknown[]) => unknown;
}

/**
 * Counts what an expression does while it runs: one for every step, and a tenth of what a function reads, as cel-go
 * charges. Whatever an expression swallows (`||`, `exists`), once it is over its limit every further step fails.
 */
export class Meter {
  left = 0;

  /** Makes every node of a checked tree pay. */
  install(root: unknown): void {
    this.#visit(root, new Set());
  }

  charge(cost: number): void {
    this.left -= cost;
    if (this.left < 0) {
      throw new CelCostError('operation cancelled: actual cost limit exceeded');
    }
  }

  #visit(value: unknown, seen: Set<unknown>): void {
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    seen.add(value);
    if (!isNode(value)) {
      for (const member of Object.values(value)) this.#visit(member, seen);
      return;
    }
    const { alternate, macro } = value.meta ?? {};
    if (alternate) {
      this.#visit(alternate, seen);
      return;
    }
    this.#visit(macro ? macro.metered : value.args, seen);
    this.#wrap(value);
  }

  #wrap(node: AstNode): void {
    const evaluate = node.evaluate;
    // Ours must stand before the method whatever it becomes.
    let current = evaluate;
    Object.defineProperty(node, 'evaluate', {
      configurable: true,
      get: () => (evaluator: unknown, ast: unknown, context: unknown) => {
        // The method that is there at first replaces itself and calls its successor, which pays.
        if (current !== evaluate) this.charge(1);
        return current.call(node, evaluator, ast, context);
      },
      set: (replaced: AstNode['evaluate']) => {
        current = replaced;
      },
    });
    const { handle } = node;
    if (handle === undefined || (node.op !== 'rcall' && node.op !== 'call')) return;
    const name = Array.isArray(node.args) ? node.args[0] : '';
    node.handle = (...args) => {
      const [values] = args;
      if (Array.isArray(values)) {
        this.charge(costOf(values));
        if (PATTERNED.has(String(name)) && values.length >= 2) {
          this.charge(matchCost(String(values[0]), String(values[1])));
        }
        // The library's own reads JavaScript's patterns, some of which run away.
        if (name === 'matches' && values.length === 2) {
          return linearRegExp(String(values[1])).regExp.test(String(values[0]));
        }
      }
      return handle(...args);
    };
  }
}

function isNode(value: object): value is AstNode {
  return 'op' in value && typeof value.op === 'string' && 'evaluate' in value;
}

const PATTERNED = new Set(['matches', 'find', 'findAll']);

/** The product of text and pattern (cel-go CallCost), where what is repeated counts as often as it is. */
function matchCost(text: string, pattern: string): number {
  return Math.ceil((1 + text.length) / 10) * Math.ceil(linearRegExp(pattern).size / 4);
}

function costOf(values: readonly unknown[]): number {
  let cost = 0;
  for (const value of values) {
    if (typeof value === 'string' || Array.isArray(value)) cost += Math.ceil(value.length / 10);
  }
  return cost;
}
