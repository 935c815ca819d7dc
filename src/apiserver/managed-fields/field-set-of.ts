import { badRequest } from '../../api/errors.ts';
import { goKind, goText } from '../../api/scalars.ts';
import type { Schema } from '../../api/schema.ts';
import type { KubeObject } from '../../api/types.ts';
import { isObject } from '../../util/json.ts';
import { type FieldSet, FieldSetBuilder } from './field-set.ts';
import { elementText, fieldElement, MissingKey, pathText } from './path-elements.ts';
import { isEmptyValue, type Shape, type Slot, shapeOf } from './shape.ts';

/** The paths that `value` speaks of. */
export function fieldSetOf(schema: Schema, slot: Slot, value: unknown): FieldSet {
  const walker = new Walker(schema, false);
  walker.walk(slot, value);
  return walker.set.build();
}

/**
 * The same of an apply configuration. What it must not hold is a BadRequest: fields that the schema does not know,
 * values of another form, list items without key or with the same one.
 */
export function appliedFields(schema: Schema, slot: Slot, config: KubeObject): FieldSet {
  const walker = new Walker(schema, true);
  walker.walk(slot, config);
  const { problems } = walker;
  if (problems.length > 0) {
    const { apiVersion, kind, metadata } = config;
    const version = apiVersion.includes('/') ? apiVersion : `/${apiVersion}`;
    const named = `${metadata.namespace ?? ''}/${metadata.name}; ${version}, Kind=${kind}`;
    const all = problems.length === 1 ? problems[0] : ['errors:', ...problems].join('\n  ');
    throw badRequest(`failed to create typed patch object (${named}): ${all}`);
  }
  return walker.set.build();
}

/** A configuration is told no more than this many problems. */
const MAX_PROBLEMS = 100;

class Walker {
  readonly set = new FieldSetBuilder();
  readonly problems: string[] = [];
  readonly #schema: Schema;
  readonly #strict: boolean;
  readonly #path: string[] = [];

  constructor(schema: Schema, strict: boolean) {
    this.#schema = schema;
    this.#strict = strict;
  }

  walk(slot: Slot, value: unknown): void {
    const problem = this.#strict && wrongForm(slot, value);
    if (problem) {
      this.#refuse(problem);
      return;
    }
    const shape = shapeOf(this.#schema, slot, value);
    if (shape.kind === 'map') this.#walkMap(shape, value);
    else if (shape.kind === 'list') this.#walkList(shape, value);
    else this.set.insert(this.#path);
  }

  #walkMap(shape: Shape & { kind: 'map' }, value: unknown): void {
    if (!isObject(value)) return;
    for (const key of Object.keys(value)) {
      const member = value[key];
      const slot = shape.slotOf(key);
      this.#path.push(fieldElement(key));
      if (slot === undefined) this.#refuse('field not declared in schema');
      this.walk(slot ?? { type: { kind: 'any' } }, member);
      const isEmptyMap = member === null || (isObject(member) && isEmptyValue(member));
      if (isEmptyMap || !shape.declares(key)) this.set.insert(this.#path);
      this.#path.pop();
    }
  }

  #walkList(shape: Shape & { kind: 'list' }, value: unknown): void {
    if (!Array.isArray(value)) return;
    const byElement = Map.groupBy(value, (item) => this.#elementOf(shape, item));
    for (const [element, items] of byElement) {
      if (element === undefined) continue;
      if (items.length > 1) this.#refuse(`duplicate entries for key ${elementText(element)}`);
      this.#path.push(element);
      if (items.length === 1) this.walk(shape.item, items[0]);
      this.set.insert(this.#path);
      this.#path.pop();
    }
  }

  #elementOf(shape: Shape & { kind: 'list' }, item: unknown): string | undefined {
    try {
      return shape.elementOf(item);
    } catch (err) {
      if (!(err instanceof MissingKey) || !this.#strict) throw err;
      this.#refuse(err.message);
      return undefined;
    }
  }

  #refuse(why: string): void {
    if (!this.#strict || this.problems.length >= MAX_PROBLEMS) return;
    this.problems.push(`${pathText(this.#path)}: ${why}`);
  }
}

function wrongForm({ type }: Slot, value: unknown): string | undefined {
  if (value === null) return undefined;
  switch (type.kind) {
    case 'any':
      return undefined;
    case 'array':
      return Array.isArray(value) ? undefined : `expected list, got ${goForm(value)}`;
    case 'map':
    case 'object':
      return isObject(value) ? undefined : `expected map, got ${goForm(value)}`;
    case 'int32':
    case 'int64':
    case 'double':
      if (typeof value === 'number' || typeof value === 'bigint') return undefined;
      return `expected numeric (int or float), got ${goType(value)}`;
    case 'boolean':
      return typeof value === 'boolean' ? undefined : `expected boolean, got ${goForm(value)}`;
    case 'quantity':
    case 'intOrString':
      return typeof value === 'object' ? `expected any scalar, got ${goForm(value)}` : undefined;
    default:
      return typeof value === 'string'
        ? undefined
        : `expected string, got &value.valueUnstructured{Value:${JSON.stringify(value)}}`;
  }
}

/** Go's `%v` of a wrapped value. */
function goForm(value: unknown): string {
  return `&{${goText(value)}}`;
}

function goType(value: unknown): string {
  if (Array.isArray(value)) return '[]interface {}';
  return isObject(value) ? 'map[string]interface {}' : goKind(value);
}
