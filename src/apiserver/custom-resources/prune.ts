import { isObject, put } from '../../util/json.ts';
import { type JsonSchema, keepsUnknown, memberSchema, OBJECT_FIELDS } from './json-schema.ts';

/** A copy of `value` with only what the structural schema specifies; `unknown` collects the paths of the rest. */
export function prune(
  value: unknown,
  schema: JsonSchema,
  unknown: string[],
  path: { at: string; isResource: boolean } = { at: '', isResource: true },
): unknown {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (!items) return value;
    return value.map((item, i) => {
      const at = `${path.at}[${i}]`;
      return prune(item, items, unknown, { at, isResource: isEmbedded(items) });
    });
  }
  if (!isObject(value)) return value;
  const kept = {};
  for (const key of Object.keys(value)) {
    const at = path.at === '' ? key : `${path.at}.${key}`;
    const member = memberSchema(schema, key);
    if (path.isResource && OBJECT_FIELDS.has(key)) put(kept, key, value[key]);
    else if (member) {
      put(kept, key, prune(value[key], member, unknown, { at, isResource: isEmbedded(member) }));
    } else if (keepsUnknown(schema)) put(kept, key, value[key]);
    else unknown.push(at);
  }
  return kept;
}

function isEmbedded(schema: JsonSchema): boolean {
  return schema['x-kubernetes-embedded-resource'] === true;
}
