import { cloneJson, isObject, type JsonObject, put } from '../../util/json.ts';
import { type JsonSchema, memberSchema } from './json-schema.ts';

/** Fills in the defaults of a structural schema in place. A null that may not be null counts as missing. */
export function applyDefaults(value: unknown, schema: JsonSchema): void {
  if (Array.isArray(value)) {
    if (schema.items) for (const item of value) applyDefaults(item, schema.items);
    return;
  }
  if (!isObject(value)) return;
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    if (property.default !== undefined && isMissing(value, key, property)) {
      put(value, key, cloneJson(property.default));
    }
  }
  for (const key of Object.keys(value)) {
    const member = memberSchema(schema, key);
    if (member) applyDefaults(value[key], member);
  }
}

function isMissing(value: JsonObject, key: string, property: JsonSchema): boolean {
  return !Object.hasOwn(value, key) || (value[key] === null && !property.nullable);
}

export function hasDefaults(schema: JsonSchema | undefined): boolean {
  if (schema === undefined) return false;
  const rest = isObject(schema.additionalProperties) ? schema.additionalProperties : undefined;
  return (
    schema.default !== undefined ||
    hasDefaults(schema.items) ||
    hasDefaults(rest as JsonSchema | undefined) ||
    Object.values(schema.properties ?? {}).some(hasDefaults)
  );
}
