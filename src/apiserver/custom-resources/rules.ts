import {
  type FieldError,
  type FieldErrorType,
  forbidden,
  invalid,
  required,
} from '../../api/field-errors.ts';
import type { KubeObject } from '../../api/types.ts';
import { CelCompileError, type CelProgram, compileCel, compileIn } from '../../cel/cel.ts';
import { evaluationMessage } from '../../cel/messages.ts';
import { CelBudget, CelCostError } from '../../cel/meter.ts';
import { isObject, jsonEqual, own } from '../../util/json.ts';
import { maxSize, sizeOf } from './cel-sizes.ts';
import { CelTypes } from './cel-types.ts';
import { type JsonSchema, memberSchema, type ValidationRule } from './json-schema.ts';
import { RuleCosts } from './rule-costs.ts';
import { children } from './structural.ts';
import { checkRuleWords } from './unsupported.ts';
import { below, olderItems } from './validate.ts';

interface CompiledRule {
  readonly rule: ValidationRule;
  readonly evaluate: CelProgram;
  readonly message: CelProgram | undefined;
  /** Compares with what was before: judged only on updates. */
  readonly isTransition: boolean;
}

const MAX_RULE_LENGTH = 10_000;
const MAX_MESSAGE_LENGTH = 5 * 1024;

/** What is wrong with the CEL rules of a schema: they must compile, on the types that the schema gives. */
export function checkRules(schema: JsonSchema, path: string): FieldError[] {
  if (!hasRules(schema)) return [];
  const costs = new RuleCosts();
  const types = new CelTypes(schema);
  const errors = checkNode(schema, { types, path, isComparable: true, costs, cardinality: 1 });
  return [...errors, ...costs.excess(path)];
}

interface Place {
  readonly types: CelTypes;
  readonly path: string;
  /** What was here before can be found: not below lists that are no maps. */
  readonly isComparable: boolean;
  readonly costs: RuleCosts;
  /** How many values of the schema one object may hold at most. */
  readonly cardinality: number;
}

function checkNode(schema: JsonSchema, place: Place): FieldError[] {
  const { path } = place;
  const own = (schema['x-kubernetes-validations'] ?? []).flatMap((rule, i) =>
    checkRule(rule, schema, { ...place, path: `${path}.x-kubernetes-validations[${i}]` }),
  );
  const isComparable =
    place.isComparable &&
    (schema.type !== 'array' || schema['x-kubernetes-list-type'] === 'map') &&
    schema['x-kubernetes-map-type'] !== 'atomic';
  const below = { ...place, isComparable };
  return [
    ...own,
    ...children(schema, path).flatMap(([child, at]) => {
      // Named properties are there once, items and entries as often as there is room.
      const isNamed = Object.values(schema.properties ?? {}).includes(child);
      const cardinality = isNamed ? place.cardinality : place.cardinality * maxSize(schema);
      return checkNode(child, { ...below, path: at, cardinality });
    }),
  ];
}

function checkRule(rule: ValidationRule, schema: JsonSchema, place: Place): FieldError[] {
  const { types, path } = place;
  if (!rule.rule?.trim()) return [required(`${path}.rule`, 'rule is not specified')];
  if (rule.rule.length > MAX_RULE_LENGTH) {
    return [forbidden(`${path}.rule`, 'estimated rule cost exceeds budget')];
  }
  const compiled = checkedProgram(`${path}.rule`, rule.rule, () => compile(rule, schema, types));
  const errors = checkRuleWords(rule, schema, path);
  if (Array.isArray(compiled)) return [...errors, ...compiled];
  const { evaluate, isTransition } = compiled;
  if (evaluate.type !== 'bool' && evaluate.type !== 'dyn') {
    errors.push(invalid(`${path}.rule`, rule.rule, 'cel expression must evaluate to a bool'));
  }
  if (isTransition && !place.isComparable) {
    const why = 'oldSelf cannot be used on the uncorrelatable portion of the schema';
    errors.push(invalid(`${path}.rule`, rule.rule, why));
  }
  const self = sizeOf(schema);
  const cost = evaluate.cost({ self, oldSelf: self }) * place.cardinality;
  const tooCostly = place.costs.add(`${path}.rule`, 'estimated rule cost', cost);
  return [...errors, ...tooCostly, ...checkMessage(rule, schema, place)];
}

function checkMessage(
  { message, messageExpression }: ValidationRule,
  schema: JsonSchema,
  { types, path, costs, cardinality }: Place,
): FieldError[] {
  const errors: FieldError[] = [];
  if (message?.includes('\n')) {
    errors.push(invalid(`${path}.message`, message, 'message must not contain line breaks'));
  }
  if (messageExpression === undefined) return errors;
  const at = `${path}.messageExpression`;
  if (messageExpression.trim() === '') {
    return [...errors, required(at, 'must be non-empty if specified')];
  }
  const program = checkedProgram(at, messageExpression, () =>
    compileIn(types.scope(schema, false), messageExpression),
  );
  if (Array.isArray(program)) return [...errors, ...program];
  const self = sizeOf(schema);
  const cost = program.cost({ self, oldSelf: self }) * cardinality;
  errors.push(...costs.add(at, 'estimated messageExpression cost', cost));
  if (program.type === 'string' || program.type === 'dyn') return errors;
  const why = 'messageExpression must evaluate to a string';
  return [...errors, invalid(at, messageExpression, why)];
}

function checkedProgram<T extends object>(
  path: string,
  text: string,
  make: () => T,
): T | FieldError[] {
  try {
    return make();
  } catch (err) {
    if (!(err instanceof CelCompileError)) throw err;
    return [invalid(path, text, err.message)];
  }
}

function compile(rule: ValidationRule, schema: JsonSchema, types: CelTypes): CompiledRule {
  const scope = types.scope(schema, rule.optionalOldSelf === true);
  const { messageExpression } = rule;
  return {
    rule,
    evaluate: compileIn(scope, rule.rule),
    message: messageExpression
      ? compileIn(types.scope(schema, false), messageExpression)
      : undefined,
    isTransition: /\boldSelf\b/.test(rule.rule),
  };
}

/**
 * The CEL rules of a schema (x-kubernetes-validations), compiled when the first object is judged. Rules are asked
 * only about values whose schema found nothing wrong. What all of them do together is limited.
 */
export function ruleChecker(
  schema: JsonSchema,
): (object: KubeObject, old: KubeObject | undefined) => FieldError[] {
  if (!hasRules(schema)) return () => [];
  const compiled = new Map<ValidationRule, CompiledRule>();
  let types: CelTypes | undefined;
  return (object, old) => {
    types ??= new CelTypes(schema);
    const judge = new Judge(types, compiled);
    judge.look(schema, { value: object, old, path: '' });
    return judge.errors;
  };
}

function hasRules(schema: JsonSchema): boolean {
  return (
    (schema['x-kubernetes-validations'] ?? []).length > 0 ||
    children(schema, '').some(([child]) => hasRules(child))
  );
}

interface Judged {
  readonly value: unknown;
  readonly old: unknown;
  readonly path: string;
}

/** One judgement of one object. */
class Judge {
  readonly errors: FieldError[] = [];
  readonly #types: CelTypes;
  readonly #compiled: Map<ValidationRule, CompiledRule>;
  readonly #budget = new CelBudget();
  #isSpent = false;

  constructor(types: CelTypes, compiled: Map<ValidationRule, CompiledRule>) {
    this.#types = types;
    this.#compiled = compiled;
  }

  look(schema: JsonSchema, judged: Judged): void {
    const { value, old, path } = judged;
    // Rules are about values: what may be null has its rules for when it is not.
    if (value === null && schema.nullable) return;
    for (const rule of schema['x-kubernetes-validations'] ?? []) {
      if (!this.#isSpent) this.#apply(rule, schema, judged);
    }
    const { items } = schema;
    if (Array.isArray(value) && items) {
      const before = olderItems(schema, old);
      value.forEach((item, i) => {
        this.look(items, { value: item, old: before(item), path: `${path}[${i}]` });
      });
    } else if (isObject(value)) {
      this.#lookInside(schema, value, judged);
    }
  }

  #lookInside(schema: JsonSchema, value: Record<string, unknown>, { old, path }: Judged): void {
    const isAtomic = schema['x-kubernetes-map-type'] === 'atomic';
    const previous = isObject(old) && !isAtomic ? old : {};
    for (const key of Object.keys(value)) {
      const member = memberSchema(schema, key);
      if (!member) continue;
      this.look(member, { value: value[key], old: own(previous, key), path: below(path, key) });
    }
  }

  #apply(rule: ValidationRule, schema: JsonSchema, judged: Judged): void {
    const compiled = this.#compiled.get(rule) ?? compile(rule, schema, this.#types);
    this.#compiled.set(rule, compiled);
    const { isTransition, evaluate } = compiled;
    const { value, old, path } = judged;
    if (isTransition && old === undefined && !rule.optionalOldSelf) return;
    const variables = this.#variables(rule, schema, judged);
    try {
      if (evaluate(variables, this.#budget) === true) return;
    } catch (err) {
      this.errors.push(this.#failed(err, rule, schema, path));
      return;
    }
    // What did not change is not judged anew (ratcheting).
    if (!isTransition && old !== undefined && jsonEqual(value, old)) return;
    const field = (path + (rule.fieldPath ?? '')).replace(/^\./, '');
    const why = this.#messageOf(compiled, variables);
    this.errors.push(refused(rule, field, { value, type: schema.type }, why));
  }

  #variables(rule: ValidationRule, schema: JsonSchema, { value, old }: Judged) {
    const before = old === undefined ? undefined : this.#types.valueOf(old, schema);
    return {
      self: this.#types.valueOf(value, schema),
      oldSelf: rule.optionalOldSelf ? optional(before) : before,
    };
  }

  #failed(err: unknown, rule: ValidationRule, schema: JsonSchema, path: string): FieldError {
    const shown = rule.message?.trim() || rule.rule.trim();
    const type = schema.type ?? 'object';
    if (!(err instanceof CelCostError)) {
      return invalid(path, type, `${evaluationMessage(err)} evaluating rule: ${shown}`);
    }
    this.#isSpent = true;
    const why =
      this.#budget.left <= 0
        ? 'validation failed due to running out of cost budget, no further validation rules will be run'
        : `'${err.message}': no further validation rules will be run due to call cost exceeds limit for rule: ${shown}`;
    return invalid(path, type, why);
  }

  #messageOf({ rule, message }: CompiledRule, variables: Record<string, unknown>): string {
    try {
      const made = message?.(variables, this.#budget);
      const text = typeof made === 'string' ? made.trim() : '';
      if (text !== '' && !text.includes('\n') && text.length <= MAX_MESSAGE_LENGTH) return text;
    } catch {
      // A message that cannot be made is replaced by the fixed one, as upstream does.
    }
    return rule.message?.trim() || `failed rule: ${rule.rule.trim()}`;
  }
}

const some = compileCel('optional.of(value)', ['value']);
const none = compileCel('optional.none()', []);

function optional(value: unknown): unknown {
  return value === undefined ? none({}) : some({ value });
}

function refused(
  rule: ValidationRule,
  field: string,
  { value, type }: { value: unknown; type: string | undefined },
  why: string,
): FieldError {
  switch (rule.reason as FieldErrorType | undefined) {
    case 'FieldValueForbidden':
      return forbidden(field, why);
    case 'FieldValueRequired':
      return required(field, why);
    case 'FieldValueDuplicate':
      return {
        type: 'FieldValueDuplicate',
        field,
        message: `Duplicate value: ${JSON.stringify(value)}`,
      };
    default:
      // Whole objects and lists are not told back.
      return type === 'object' || type === 'array'
        ? { type: 'FieldValueInvalid', field, message: `Invalid value: ${why}` }
        : invalid(field, value, why);
  }
}
