import type { Schema } from '../../api/schema.ts';
import { isObject, type JsonObject, put } from '../../util/json.ts';
import { EMPTY_SET, type FieldSet } from './field-set.ts';
import { fieldElement } from './path-elements.ts';
import { isEmptyValue, type Shape, type Slot, shapeOf } from './shape.ts';

/** `value` without the members of `paths`; `undefined` when that leaves an empty map or list. */
export function remove(schema: Schema, slot: Slot, value: unknown, paths: FieldSet): unknown {
  if (paths.size === 0 || isEmptyValue(value)) return value;
  const shape = shapeOf(schema, slot, value);
  if (shape.kind === 'map' && isObject(value)) return removeMembers(schema, shape, value, paths);
  if (shape.kind === 'list' && Array.isArray(value)) {
    return removeItems(schema, shape, value, paths);
  }
  return value;
}

function removeMembers(
  schema: Schema,
  shape: Shape & { kind: 'map' },
  value: JsonObject,
  paths: FieldSet,
): JsonObject | undefined {
  const kept: JsonObject = {};
  for (const key of Object.keys(value)) {
    const node = paths.get(fieldElement(key));
    if (node?.isMember) continue;
    const slot = shape.slotOf(key) ?? { type: { kind: 'any' } };
    const member = remove(schema, slot, value[key], node?.below ?? EMPTY_SET);
    if (member !== undefined) put(kept, key, member);
  }
  return Object.keys(kept).length > 0 ? kept : undefined;
}

function removeItems(
  schema: Schema,
  shape: Shape & { kind: 'list' },
  value: readonly unknown[],
  paths: FieldSet,
): unknown[] | undefined {
  const kept: unknown[] = [];
  for (const item of value) {
    const node = paths.get(shape.elementOf(item));
    if (node?.isMember) continue;
    kept.push(remove(schema, shape.item, item, node?.below ?? EMPTY_SET));
  }
  return kept.length > 0 ? kept : undefined;
}

/** `set` with the declared fields on the way to its members as members too. */
export function withNamedFields(schema: Schema, slot: Slot, set: FieldSet): FieldSet {
  if (set.size === 0) return set;
  // A map's shape is asked for: free-form values have no declared fields anyway.
  const shape = shapeOf(schema, slot, {});
  return new Map(
    [...set].map(([element, node]) => {
      const key = element.slice(2);
      const isField = element.startsWith('f:') && shape.kind === 'map';
      const below = isField ? shape.slotOf(key) : shape.kind === 'list' ? shape.item : undefined;
      const isDeclared = isField && shape.declares(key) && node.below.size > 0;
      return [
        element,
        {
          isMember: node.isMember || isDeclared,
          below: withNamedFields(schema, below ?? { type: { kind: 'any' } }, node.below),
        },
      ];
    }),
  );
}
