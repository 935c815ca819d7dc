import type { Field, Schema, TypeRef } from '../../api/schema.ts';
import { isObject } from '../../util/json.ts';
import { keyElement, valueElement } from './path-elements.ts';

/** A place that holds values: a field, a map's member, a list's item. */
export type Slot = Pick<Field, 'type' | 'listType' | 'listMapKeys' | 'mapType'>;

/** How the value in a slot is owned. */
export type Shape =
  /** As one: scalars, atomic lists and atomic maps. */
  | { readonly kind: 'leaf' }
  /** Item by item. */
  | { readonly kind: 'list'; readonly item: Slot; elementOf(item: unknown): string }
  /** Member by member. */
  | {
      readonly kind: 'map';
      /** Undefined: the schema knows no such field. */
      slotOf(key: string): Slot | undefined;
      /** Whether `key` is a declared field, not the key of a free map. */
      declares(key: string): boolean;
      /** Whether the typed object behind upstream's API always holds this member, if only empty. */
      implies(key: string): unknown;
    };

const LEAF: Shape = { kind: 'leaf' };
const ANY: Slot = { type: { kind: 'any' } };

/** The shape of `value` (which decides where the schema leaves the type open). */
export function shapeOf(schema: Schema, slot: Slot, value: unknown): Shape {
  switch (slot.type.kind) {
    case 'any':
      // Free-form values are owned by the member; lists in them as one.
      return isObject(value) ? mapShape(ANY) : LEAF;
    case 'array':
      return listShape(slot, slot.type.of);
    case 'map':
      return slot.mapType === 'atomic' ? LEAF : mapShape({ type: slot.type.of });
    case 'object':
      return objectShape(schema, slot, slot.type.name);
    default:
      return LEAF;
  }
}

function listShape(slot: Slot, of: TypeRef): Shape {
  const item: Slot = { type: of };
  if (slot.listType === 'set') return { kind: 'list', item, elementOf: valueElement };
  if (slot.listType !== 'map') return LEAF;
  const keys = slot.listMapKeys ?? [];
  return { kind: 'list', item, elementOf: (value) => keyElement(value, keys) };
}

function mapShape(member: Slot): Shape {
  return { kind: 'map', slotOf: () => member, declares: () => false, implies: () => undefined };
}

const BUILTIN = /^io\.k8s\.(api|apimachinery|apiextensions-apiserver|kube-aggregator)\./;

function objectShape(schema: Schema, slot: Slot, name: string): Shape {
  const definition = schema.definition(name);
  if (definition?.mapType === 'atomic' || slot.mapType === 'atomic') return LEAF;
  if (definition === undefined) return mapShape(ANY);
  const { fields } = definition;
  const isBuiltin = BUILTIN.test(name);
  return {
    kind: 'map',
    slotOf: (key) => fields.get(key) ?? (definition.isOpen ? ANY : undefined),
    declares: (key) => fields.has(key),
    implies: (key) => (isBuiltin ? impliedValue(key, fields.get(key)) : undefined),
  };
}

/**
 * Go structs hold their struct fields always, so upstream never sees these come or go; only pointers do.
 * The schema does not tell one from the other: these are the structs that are held by value.
 */
const HELD_BY_VALUE: ReadonlySet<string> = new Set([
  'metadata',
  'spec',
  'status',
  'template',
  'jobTemplate',
  'strategy',
  'updateStrategy',
  'loadBalancer',
  'nodeInfo',
  'daemonEndpoints',
  'kubeletEndpoint',
]);

function impliedValue(key: string, field: Field | undefined): unknown {
  if (field?.type.kind === 'object' && HELD_BY_VALUE.has(key)) return {};
  if (field?.required && (field.type.kind === 'array' || field.type.kind === 'map')) return null;
  return undefined;
}

/** Nothing, null, an empty list or an empty object. */
export function isEmptyValue(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isObject(value) && Object.keys(value).length === 0;
}
