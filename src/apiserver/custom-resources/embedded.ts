import { isObject, type JsonObject } from '../../util/json.ts';
import { type JsonSchema, memberSchema } from './json-schema.ts';

const EMBEDDED = 'x-kubernetes-embedded-resource';

/** An object within another, and where it is: `spec.template`. */
export interface Embedded {
  readonly object: JsonObject;
  readonly at: string;
}

/** Whether a schema has embedded resources at all: most have none, and need not be searched. */
export function embedsResources(schema: JsonSchema | undefined): boolean {
  if (!schema) return false;
  const rest = isObject(schema.additionalProperties) ? schema.additionalProperties : undefined;
  return (
    schema[EMBEDDED] === true ||
    embedsResources(schema.items) ||
    embedsResources(rest as JsonSchema | undefined) ||
    Object.values(schema.properties ?? {}).some(embedsResources)
  );
}

/** The objects within `value` that are whole resources by their schema. */
export function* embeddedIn(value: unknown, schema: JsonSchema, at = ''): Generator<Embedded> {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (!items) return;
    for (const [i, item] of value.entries()) yield* embeddedIn(item, items, `${at}[${i}]`);
    return;
  }
  if (!isObject(value)) return;
  if (schema[EMBEDDED] === true) yield { object: value, at };
  for (const key of Object.keys(value)) {
    const member = memberSchema(schema, key);
    if (member) yield* embeddedIn(value[key], member, at === '' ? key : `${at}.${key}`);
  }
}
