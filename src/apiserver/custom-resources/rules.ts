import {
  type FieldError,
  type FieldErrorType,
  forbidden,
  invalid,
  required,
} from '../../api/field-errors.ts';
import type { KubeObject } from '../../api/types.ts';
import { errorMessage } from '../../util/errors.ts';
import { isObject, type JsonObject, own, put } from '../../util/json.ts';
import { CelCompileError, type CelProgram, compileCel, toCel } from '../cel.ts';
import { type JsonSchema, memberSchema, type ValidationRule } from './json-schema.ts';
import { children } from './structural.ts';
import { below, olderItems } from './validate.ts';

interface CompiledRule {
  readonly rule: ValidationRule;
  readonly evaluate: CelProgram;
  readonly message: CelProgram | undefined;
  /** Compares with what was before: judged only on updates. */
  readonly isTransition: boolean;
}

const MAX_RULE_LENGTH = 10_000;

/** What is wrong with the CEL rules of a schema: they must compile. */
export function checkRules(schema: JsonSchema, path: string): FieldError[] {
  const own = (schema['x-kubernetes-validations'] ?? []).flatMap((rule, i) =>
    checkRule(rule, `${path}.x-kubernetes-validations[${i}]`),
  );
  return [...own, ...children(schema, path).flatMap(([child, at]) => checkRules(child, at))];
}

function checkRule(rule: ValidationRule, path: string): FieldError[] {
  if (!rule.rule?.trim()) return [required(`${path}.rule`, 'rule is not specified')];
  if (rule.rule.length > MAX_RULE_LENGTH) {
    return [forbidden(`${path}.rule`, 'estimated rule cost exceeds budget')];
  }
  if (rule.optionalOldSelf) {
    return [forbidden(`${path}.optionalOldSelf`, 'is not supported by this server')];
  }
  try {
    compile(rule);
    return [];
  } catch (err) {
    if (!(err instanceof CelCompileError)) throw err;
    return [invalid(`${path}.rule`, rule.rule, err.message)];
  }
}

function compile(rule: ValidationRule): CompiledRule {
  const variables = ['self', 'oldSelf'];
  return {
    rule,
    evaluate: compileCel(rule.rule, variables),
    message: rule.messageExpression ? compileCel(rule.messageExpression, variables) : undefined,
    isTransition: /\boldSelf\b/.test(rule.rule),
  };
}

/**
 * The CEL rules of a schema (x-kubernetes-validations), compiled when the first object is judged. Rules are asked
 * only about values whose schema found nothing wrong.
 */
export function ruleChecker(
  schema: JsonSchema,
): (object: KubeObject, old: KubeObject | undefined) => FieldError[] {
  if (!hasRules(schema)) return () => [];
  const compiled = new Map<ValidationRule, CompiledRule>();
  const compiledOf = (rule: ValidationRule) => {
    const known = compiled.get(rule) ?? compile(rule);
    compiled.set(rule, known);
    return known;
  };
  return (object, old) => judge(schema, { value: object, old, path: '' }, compiledOf);
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

function judge(
  schema: JsonSchema,
  judged: Judged,
  compiledOf: (rule: ValidationRule) => CompiledRule,
): FieldError[] {
  const { value, old, path } = judged;
  const rules = schema['x-kubernetes-validations'] ?? [];
  const errors = rules.flatMap((rule) => applyRule(compiledOf(rule), schema, judged));
  const { items } = schema;
  if (Array.isArray(value) && items) {
    const before = olderItems(schema, old);
    value.forEach((item, i) => {
      const at = { value: item, old: before(item), path: `${path}[${i}]` };
      errors.push(...judge(items, at, compiledOf));
    });
  } else if (isObject(value)) {
    const previous = isObject(old) ? old : {};
    for (const key of Object.keys(value)) {
      const member = memberSchema(schema, key);
      if (!member) continue;
      const at = { value: value[key], old: own(previous, key), path: below(path, key) };
      errors.push(...judge(member, at, compiledOf));
    }
  }
  return errors;
}

function applyRule(compiled: CompiledRule, schema: JsonSchema, judged: Judged): FieldError[] {
  const { rule, evaluate, isTransition } = compiled;
  if (isTransition && judged.old === undefined) return [];
  const variables = {
    self: toSelf(judged.value, schema, judged.path === ''),
    oldSelf: toSelf(judged.old, schema, judged.path === ''),
  };
  const path = judged.path + (rule.fieldPath ?? '');
  const field = path.replace(/^\./, '');
  const type = schema.type ?? 'object';
  try {
    if (evaluate(variables) === true) return [];
  } catch (err) {
    const why = errorMessage(err).split('\n')[0];
    return [invalid(field, type, `rule evaluation error: ${why}: ${rule.rule}`)];
  }
  return [refused(rule, field, type, messageOf(compiled, variables))];
}

function messageOf({ rule, message }: CompiledRule, variables: Record<string, unknown>): string {
  try {
    const made = message?.(variables);
    if (typeof made === 'string' && made.trim() !== '' && !made.includes('\n')) return made;
  } catch {
    // A message that cannot be made is replaced by the fixed one, as upstream does.
  }
  return rule.message || `failed rule: ${rule.rule.trim()}`;
}

function refused(rule: ValidationRule, field: string, type: string, why: string): FieldError {
  switch (rule.reason as FieldErrorType | undefined) {
    case 'FieldValueForbidden':
      return forbidden(field, why);
    case 'FieldValueRequired':
      return required(field, why);
    case 'FieldValueDuplicate':
      return {
        type: 'FieldValueDuplicate',
        field,
        message: `Duplicate value: ${JSON.stringify(type)}`,
      };
    default:
      return invalid(field, type, why);
  }
}

/** A value as rules see it: typed by its schema, with field names that are CEL identifiers. */
function toSelf(value: unknown, schema: JsonSchema | undefined, isResource: boolean): unknown {
  if (typeof value === 'number') return schema?.type === 'number' ? value : toCel(value);
  if (Array.isArray(value)) return value.map((item) => toSelf(item, schema?.items, false));
  if (!isObject(value)) return value;
  const converted: JsonObject = {};
  for (const key of Object.keys(value)) {
    const member = schema && memberSchema(schema, key);
    const isDeclared = Object.hasOwn(schema?.properties ?? {}, key);
    const isEmbedded = member?.['x-kubernetes-embedded-resource'] === true;
    put(converted, isDeclared ? identifier(key) : key, toSelf(value[key], member, isEmbedded));
  }
  if (isResource && isObject(value.metadata)) converted.metadata = namesOf(value.metadata);
  return converted;
}

/** Rules see no more of the metadata. */
function namesOf({ name, generateName }: JsonObject): JsonObject {
  return {
    ...(name === undefined ? {} : { name }),
    ...(generateName === undefined ? {} : { generateName }),
  };
}

const RESERVED = new Set([
  ...['true', 'false', 'null', 'in', 'as', 'break', 'const', 'continue', 'else', 'for', 'function'],
  ...['if', 'import', 'let', 'loop', 'package', 'namespace', 'return', 'var', 'void', 'while'],
]);

/** Upstream's escaping of property names (apiserver cel.Escape). */
function identifier(name: string): string {
  if (RESERVED.has(name)) return `__${name}__`;
  return name
    .replaceAll('__', '__underscores__')
    .replaceAll('.', '__dot__')
    .replaceAll('-', '__dash__')
    .replaceAll('/', '__slash__');
}
