import { type FieldError, forbidden } from '../../api/field-errors.ts';

/** What one expression, and all of a schema together, may be estimated to cost (apiextensions validation.go). */
const EXPRESSION_LIMIT = 10_000_000;
const SCHEMA_LIMIT = 100_000_000;
const ADVICE =
  'try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared';

/** Adds up what the rules of one schema are estimated to cost. */
export class RuleCosts {
  readonly #costs: { path: string; cost: number }[] = [];

  /** What is wrong with the cost of one expression. */
  add(path: string, what: string, cost: number): FieldError[] {
    this.#costs.push({ path, cost });
    return cost > EXPRESSION_LIMIT ? [forbidden(path, excess(what, cost, EXPRESSION_LIMIT))] : [];
  }

  /** What is wrong with all of them together. */
  excess(path: string): FieldError[] {
    const total = this.#costs.reduce((sum, { cost }) => sum + cost, 0);
    if (total <= SCHEMA_LIMIT) return [];
    const all = 'estimated rule & messageExpression cost total';
    const contributors = this.#costs
      .filter(({ cost }) => cost > SCHEMA_LIMIT / 100)
      .map((one) => {
        const why = `contributed to ${all} exceeding cost limit for entire OpenAPIv3 schema`;
        return forbidden(one.path, why);
      });
    const what = `x-kubernetes-validations ${all} for entire OpenAPIv3 schema`;
    return [...contributors, forbidden(path, excess(what, total, SCHEMA_LIMIT))];
  }
}

function excess(what: string, cost: number, limit: number): string {
  const factor = cost / limit;
  const times =
    factor > 100 ? 'more than 100x' : `${factor < 1.5 ? factor.toFixed(6) : factor.toFixed(1)}x`;
  return `${what} exceeds budget by factor of ${times} (${ADVICE})`;
}
