import { parseFieldSelector } from '../../api/fields.ts';
import { type Operator, parseSelector } from '../../api/labels.ts';

/** One condition that a request asks with, in the form of SubjectAccessReview (KEP-4601). */
export interface SelectorRequirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[] | undefined;
}

/** A selector as a request carries it: its text, read only where somebody looks, or its conditions. */
export type AskedSelector = string | readonly SelectorRequirement[];

/** What cannot be read is left out: conditions only narrow, so whoever judges by fewer of them allows less. */
export function fieldRequirements(asked: AskedSelector | undefined): SelectorRequirement[] {
  return requirements(asked, (text) =>
    parseFieldSelector(text).map(({ field: key, operator, value }) => ({
      key,
      operator: operator === '=' ? 'In' : 'NotIn',
      values: [value],
    })),
  );
}

const OPERATORS: Partial<Record<Operator, string>> = {
  ...{ in: 'In', '=': 'In', '==': 'In', notin: 'NotIn', '!=': 'NotIn' },
  ...{ exists: 'Exists', '!': 'DoesNotExist' },
};

/** The same for labels. Comparisons of numbers have no form in reviews. */
export function labelRequirements(asked: AskedSelector | undefined): SelectorRequirement[] {
  return requirements(asked, (text) =>
    parseSelector(text).flatMap(({ key, operator: word, values }) => {
      const operator = OPERATORS[word];
      if (operator === undefined) return [];
      return [{ key, operator, ...(values.length > 0 ? { values: [...values] } : {}) }];
    }),
  );
}

function requirements(
  asked: AskedSelector | undefined,
  parse: (text: string) => SelectorRequirement[],
): SelectorRequirement[] {
  if (asked === undefined) return [];
  if (typeof asked !== 'string') return [...asked];
  try {
    return parse(asked);
  } catch (err) {
    if (err instanceof RangeError) return [];
    throw err;
  }
}

/** Whether a request asks for nothing but objects with this value in a field. */
export function asksOnlyFor(
  asked: AskedSelector | undefined,
  field: string,
  value: string,
): boolean {
  return fieldRequirements(asked).some(
    ({ key, operator, values = [] }) =>
      key === field && operator === 'In' && values.length === 1 && values[0] === value,
  );
}
