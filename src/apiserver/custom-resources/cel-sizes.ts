import type { Sized } from '../../cel/cost.ts';
import { isObject } from '../../util/json.ts';
import { type JsonSchema, memberSchema } from './json-schema.ts';

/** No object is larger than a request: what has no limit of its own has this one. */
const MAX_BYTES = 3 * 1024 * 1024;
/** A character may take so many bytes. */
const BYTES_PER_CHARACTER = 4;
const FORMATS: Readonly<Record<string, number>> = { date: 12, 'date-time': 37, duration: 32 };

/** How large a value of a schema may be (apiserver cel/common schemas.go). */
export function sizeOf(schema: JsonSchema | undefined): Sized {
  if (schema === undefined) return { size: 1 };
  const items = itemsOf(schema);
  return {
    size: maxSize(schema),
    ...(items ? { item: () => sizeOf(items) } : {}),
    field: (name) => fieldOf(schema, name),
  };
}

function itemsOf({ items, additionalProperties }: JsonSchema): JsonSchema | undefined {
  if (items) return items;
  return isObject(additionalProperties) ? (additionalProperties as JsonSchema) : undefined;
}

/** Fields whose names are no CEL identifiers are found under their escaped names. */
function fieldOf(schema: JsonSchema, name: string): Sized | undefined {
  const plain = name
    .replaceAll('__dash__', '-')
    .replaceAll('__dot__', '.')
    .replaceAll('__slash__', '/')
    .replaceAll('__underscores__', '__');
  const member =
    memberSchema(schema, plain) ?? memberSchema(schema, name.replace(/^__(.*)__$/, '$1'));
  return member && sizeOf(member);
}

/** Characters, items or entries. */
export function maxSize(schema: JsonSchema): number {
  if (schema['x-kubernetes-int-or-string']) return MAX_BYTES;
  switch (schema.type) {
    case 'string':
      return maxLength(schema);
    case 'array':
      return Number(schema.maxItems ?? Math.floor(MAX_BYTES / (minBytes(schema.items) + 1)));
    case 'object': {
      const items = itemsOf(schema);
      if (!items) return 1;
      return Number(schema.maxProperties ?? Math.floor(MAX_BYTES / (minBytes(items) + 6)));
    }
    default:
      return 1;
  }
}

function maxLength({ maxLength: length, enum: values, format }: JsonSchema): number {
  const known = FORMATS[format ?? ''];
  if (known !== undefined) return known;
  if (length !== undefined) return Number(length) * BYTES_PER_CHARACTER;
  if (values) return Math.max(...values.map((value) => String(value).length), 1);
  return MAX_BYTES - 2;
}

/** The least that a value takes in JSON. */
function minBytes(schema: JsonSchema | undefined): number {
  switch (schema?.type) {
    case 'boolean':
      return 4;
    case 'object':
      return (schema.required ?? []).reduce(
        (sum, key) => sum + key.length + 4 + minBytes(memberSchema(schema, key)),
        2,
      );
    case 'string':
    case 'array':
      return 2;
    default:
      return 1;
  }
}
