import type { Definition, Field, Schema, TypeRef } from '../../api/schema.ts';
import { isObject } from '../../util/json.ts';
import { type JsonSchema, keepsUnknown } from './json-schema.ts';

const OBJECT_META: TypeRef = {
  kind: 'object',
  name: 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta',
};
const STRING: TypeRef = { kind: 'string' };

/** The built-in definitions and those of the custom kinds that are served at the moment. */
export class CustomSchema implements Schema {
  readonly #builtin: Schema;
  readonly #custom = new Map<string, ReadonlyMap<string, Definition>>();
  readonly #definitions = new Map<string, Definition>();

  constructor(builtin: Schema) {
    this.#builtin = builtin;
  }

  definition(name: string): Definition | undefined {
    return this.#definitions.get(name) ?? this.#builtin.definition(name);
  }

  *names(): Iterable<string> {
    yield* this.#builtin.names();
    yield* this.#definitions.keys();
  }

  /** Replaces the definitions of the custom kind whose root definition is called `root`. */
  set(root: string, schema: JsonSchema): void {
    this.delete(root);
    const definitions = definitionsOf(root, schema);
    this.#custom.set(root, definitions);
    for (const [name, definition] of definitions) this.#definitions.set(name, definition);
  }

  delete(root: string): void {
    for (const name of this.#custom.get(root)?.keys() ?? []) this.#definitions.delete(name);
    this.#custom.delete(root);
  }
}

/** The structure of a custom kind: a definition per object of its schema, named by where it stands. */
function definitionsOf(root: string, schema: JsonSchema): Map<string, Definition> {
  const found = new Map<string, Definition>();
  define(root, schema, true, found);
  return found;
}

function define(
  name: string,
  schema: JsonSchema,
  isResource: boolean,
  found: Map<string, Definition>,
): TypeRef {
  const fields = new Map<string, Field>();
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    fields.set(key, fieldOf(`${name}.${key}`, property, schema, found));
  }
  if (isResource) {
    fields.set('apiVersion', { type: STRING, description: '', required: false });
    fields.set('kind', { type: STRING, description: '', required: false });
    fields.set('metadata', { type: OBJECT_META, description: '', required: false });
  }
  const isAtomic = schema['x-kubernetes-map-type'] === 'atomic';
  found.set(name, {
    name,
    description: schema.description ?? '',
    fields,
    ...(isAtomic ? { mapType: 'atomic' as const } : {}),
    ...(keepsUnknown(schema) ? { isOpen: true as const } : {}),
  });
  return { kind: 'object', name };
}

function fieldOf(
  name: string,
  schema: JsonSchema,
  parent: JsonSchema,
  found: Map<string, Definition>,
): Field {
  const key = name.slice(name.lastIndexOf('.') + 1);
  const listType = schema['x-kubernetes-list-type'];
  const listMapKeys = schema['x-kubernetes-list-map-keys'];
  const mapType = schema['x-kubernetes-map-type'];
  return {
    type: typeOf(name, schema, found),
    description: schema.description ?? '',
    required: parent.required?.includes(key) ?? false,
    ...(listType ? { listType } : {}),
    ...(listMapKeys ? { listMapKeys } : {}),
    ...(mapType ? { mapType } : {}),
  };
}

function typeOf(name: string, schema: JsonSchema, found: Map<string, Definition>): TypeRef {
  if (schema['x-kubernetes-int-or-string']) return { kind: 'intOrString' };
  const isEmbedded = schema['x-kubernetes-embedded-resource'] === true;
  if (schema.properties || isEmbedded) return define(name, schema, isEmbedded, found);
  const rest = schema.additionalProperties;
  if (isObject(rest)) return { kind: 'map', of: typeOf(`${name}.*`, rest as JsonSchema, found) };
  switch (schema.type) {
    case 'string':
    case 'boolean':
      return { kind: schema.type };
    case 'integer':
      return { kind: 'int64' };
    case 'number':
      return { kind: 'double' };
    case 'array':
      return {
        kind: 'array',
        of: schema.items ? typeOf(`${name}[]`, schema.items, found) : { kind: 'any' },
      };
    default:
      return { kind: 'any' };
  }
}
