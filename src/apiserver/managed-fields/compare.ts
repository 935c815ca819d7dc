import type { Schema } from '../../api/schema.ts';
import { isObject, jsonEqual, own } from '../../util/json.ts';
import { type FieldSet, FieldSetBuilder } from './field-set.ts';
import { fieldElement } from './path-elements.ts';
import { isEmptyValue, type Shape, type Slot, shapeOf } from './shape.ts';

/** What a write did: every path is in at most one of the three. */
export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

/** How `after` differs from `before`, path by path. */
export function compare(schema: Schema, slot: Slot, before: unknown, after: unknown): Comparison {
  const comparer = new Comparer(schema);
  comparer.walk(slot, before, after);
  return comparer.result();
}

class Comparer {
  readonly #schema: Schema;
  readonly #path: string[] = [];
  readonly #added = new FieldSetBuilder();
  readonly #modified = new FieldSetBuilder();
  readonly #removed = new FieldSetBuilder();

  constructor(schema: Schema) {
    this.#schema = schema;
  }

  result(): Comparison {
    return {
      added: this.#added.build(),
      modified: this.#modified.build(),
      removed: this.#removed.build(),
    };
  }

  walk(slot: Slot, before: unknown, after: unknown): void {
    if (before === after) return;
    const shape = shapeOf(this.#schema, slot, after ?? before);
    // Empty against empty counts as a leaf, or the difference between none and {} would be lost.
    const isLeaf = isEmptyValue(before) && isEmptyValue(after);
    if (shape.kind === 'list' && !isLeaf) this.#walkList(shape, before, after);
    else if (shape.kind === 'map' && !isLeaf) this.#walkMap(shape, before, after);
    else {
      this.#mark(before, after);
      return;
    }
    if (before === undefined) this.#added.insert(this.#path);
    else if (after === undefined) this.#removed.insert(this.#path);
  }

  #mark(before: unknown, after: unknown): void {
    if (before === undefined) this.#added.insert(this.#path);
    else if (after === undefined) this.#removed.insert(this.#path);
    else if (!jsonEqual(before, after)) this.#modified.insert(this.#path);
  }

  #walkMap(shape: Shape & { kind: 'map' }, before: unknown, after: unknown): void {
    const left = isObject(before) ? before : {};
    const right = isObject(after) ? after : {};
    for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
      const slot = shape.slotOf(key) ?? { type: { kind: 'any' } };
      const implied = shape.implies(key);
      const old = own(left, key) ?? (before === undefined ? undefined : implied);
      const now = own(right, key) ?? (after === undefined ? undefined : implied);
      this.#path.push(fieldElement(key));
      this.walk(slot, old, now);
      this.#path.pop();
    }
  }

  #walkList(shape: Shape & { kind: 'list' }, before: unknown, after: unknown): void {
    const left = itemsByElement(shape, before);
    const right = itemsByElement(shape, after);
    for (const element of new Set([...left.keys(), ...right.keys()])) {
      const olds = left.get(element) ?? [];
      const nows = right.get(element) ?? [];
      this.#path.push(element);
      if (olds.length <= 1 && nows.length <= 1) this.walk(shape.item, olds[0], nows[0]);
      else {
        this.#mark(olds.length === 0 ? undefined : olds, nows.length === 0 ? undefined : nows);
      }
      this.#path.pop();
    }
  }
}

/** Stored lists may hold several items with one key: they are then compared as one. */
function itemsByElement(shape: Shape & { kind: 'list' }, value: unknown): Map<string, unknown[]> {
  return Map.groupBy(Array.isArray(value) ? value : [], shape.elementOf);
}
