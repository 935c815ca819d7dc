import { forbidden, invalid, notSupported, required } from '../api/field-errors.ts';
import { qualifiedName } from '../api/names.ts';
import type { ConfigReader } from './config-reader.ts';

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution';
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution';
const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt'] as const;

/** Notes what is wrong with the node affinity of a configuration file, where no API server has looked at it. */
export function checkNodeAffinity(affinity: ConfigReader): void {
  affinity.only(REQUIRED, PREFERRED);
  if (affinity.has(REQUIRED)) {
    const selector = affinity.object(REQUIRED).only('nodeSelectorTerms');
    const terms = selector.objects('nodeSelectorTerms');
    if (terms.length === 0) {
      const detail = 'must have at least one node selector term';
      selector.errors.push(required(selector.at('nodeSelectorTerms'), detail));
    }
    terms.forEach(checkTerm);
  }
  for (const wish of affinity.objects(PREFERRED)) {
    wish.only('weight', 'preference');
    wish.integer('weight', { fallback: 0, min: 1, max: 100, hint: 'must be in the range 1-100' });
    checkTerm(wish.object('preference'));
  }
}

function checkTerm(term: ConfigReader): void {
  term.only('matchExpressions', 'matchFields');
  term.objects('matchExpressions').forEach(checkExpression);
  term.objects('matchFields').forEach(checkField);
}

function checkExpression(one: ConfigReader): void {
  one.only('key', 'operator', 'values');
  const key = one.string('key');
  for (const problem of qualifiedName(key)) one.errors.push(invalid(one.at('key'), key, problem));
  const operator = one.choice('operator', OPERATORS, 'Exists');
  if (!one.has('operator')) return;
  const problem = valuesProblem(operator, one.strings('values'));
  if (problem) one.errors.push(invalid(one.at('values'), one.raw('values'), problem));
}

function valuesProblem(
  operator: (typeof OPERATORS)[number],
  values: readonly string[],
): string | undefined {
  switch (operator) {
    case 'In':
    case 'NotIn':
      return values.length > 0
        ? undefined
        : "for 'in', 'notin' operators, values set can't be empty";
    case 'Exists':
    case 'DoesNotExist':
      return values.length === 0
        ? undefined
        : 'values set must be empty for exists and does not exist';
    case 'Gt':
    case 'Lt':
      if (values.length !== 1) return "for 'Gt', 'Lt' operators, exactly one value is required";
      return /^[+-]?\d+$/.test(values[0] ?? '')
        ? undefined
        : "for 'Gt', 'Lt' operators, the value must be an integer";
  }
}

/** Nodes have one field that can be selected by. */
function checkField(one: ConfigReader): void {
  one.only('key', 'operator', 'values');
  const key = one.string('key');
  if (key !== 'metadata.name') {
    one.errors.push(
      forbidden(one.at('key'), `${JSON.stringify(key)} is not a valid field selector key`),
    );
  }
  const operator = one.string('operator');
  if (operator !== 'In' && operator !== 'NotIn') {
    one.errors.push(notSupported(one.at('operator'), operator, ['In', 'NotIn']));
  }
  if (one.strings('values').length !== 1) {
    const detail = 'must have one element';
    one.errors.push(invalid(one.at('values'), one.raw('values'), detail));
  }
}
