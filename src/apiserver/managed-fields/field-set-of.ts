import { badRequest } from '../../api/errors.ts';
import type { Schema } from '../../api/schema.ts';
import { isObject } from '../../util/json.ts';
import { type FieldSet, FieldSetBuilder } from './field-set.ts';
import { elementText, fieldElement, MissingKey, pathText } from './path-elements.ts';
import { isEmptyValue, type Shape, type Slot, shapeOf } from './shape.ts';

/**
 * The paths that `value` speaks of. With `strict`, what an apply configuration must not hold is a BadRequest:
 * fields that the schema does not know, values of another form, list items without key or with the same one.
 */
export function fieldSetOf(schema: Schema, slot: Slot, value: unknown, strict: boolean): FieldSet {
  const walker = new Walker(schema, strict);
  walker.walk(slot, value);
  return walker.set.build();
}

class Walker {
  readonly set = new FieldSetBuilder();
  readonly #schema: Schema;
  readonly #strict: boolean;
  readonly #path: string[] = [];

  constructor(schema: Schema, strict: boolean) {
    this.#schema = schema;
    this.#strict = strict;
  }

  walk(slot: Slot, value: unknown): void {
    if (this.#strict) this.#checkForm(slot, value);
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
      if (slot === undefined && this.#strict) this.#refuse('field not declared in schema');
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
      if (items.length > 1 && this.#strict) {
        this.#refuse(`duplicate entries for key ${elementText(element)}`);
      }
      this.#path.push(element);
      if (items.length === 1) this.walk(shape.item, items[0]);
      this.set.insert(this.#path);
      this.#path.pop();
    }
  }

  #elementOf(shape: Shape & { kind: 'list' }, item: unknown): string {
    try {
      return shape.elementOf(item);
    } catch (err) {
      if (err instanceof MissingKey) this.#refuse(err.message);
      throw err;
    }
  }

  #checkForm(slot: Slot, value: unknown): void {
    if (value === null || slot.type.kind === 'any') return;
    const wantsList = slot.type.kind === 'array';
    const wantsMap = slot.type.kind === 'map' || slot.type.kind === 'object';
    if (wantsList && !Array.isArray(value)) this.#refuse(`expected list, got ${goForm(value)}`);
    if (wantsMap && !isObject(value)) this.#refuse(`expected map, got ${goForm(value)}`);
    if (!wantsList && !wantsMap && typeof value === 'object') {
      this.#refuse(`expected ${slot.type.kind}, got ${goForm(value)}`);
    }
  }

  #refuse(why: string): never {
    throw badRequest(`failed to create typed patch object: ${pathText(this.#path)}: ${why}`);
  }
}

function goForm(value: unknown): string {
  if (Array.isArray(value)) return 'list';
  return isObject(value) ? 'map' : `&value.valueUnstructured{Value:${JSON.stringify(value)}}`;
}
