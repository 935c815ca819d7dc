import type { Definition, Field, TypeRef } from '../../api/schema.ts';
import type { JsonObject } from '../../util/json.ts';
import type { GroupVersionKind } from '../discovery-groups.ts';

/** The two editions of OpenAPI that are served. They differ in where schemas live and in what types may say. */
export type Edition = 'v2' | 'v3';

export const REF_PREFIX: Readonly<Record<Edition, string>> = {
  v2: '#/definitions/',
  v3: '#/components/schemas/',
};

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1';

/** Scalars that upstream publishes as definitions of their own, by the kind of their `TypeRef`. */
const NAMED_SCALARS = {
  time: `${META}.Time`,
  microTime: `${META}.MicroTime`,
  quantity: 'io.k8s.apimachinery.pkg.api.resource.Quantity',
  intOrString: 'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
} as const;

/** What a PATCH body may be: it depends on its media type. */
export const PATCH_DEFINITION = `${META}.Patch`;

/** Definitions that the schema of kinds does not hold. */
export function specialDefinition(name: string, edition: Edition): JsonObject | undefined {
  switch (name) {
    case NAMED_SCALARS.time:
    case NAMED_SCALARS.microTime:
      return {
        description: 'A point in time in RFC 3339 form.',
        type: 'string',
        format: 'date-time',
      };
    case NAMED_SCALARS.quantity:
      return {
        description:
          'A number with an optional decimal (n, u, m, k, M, …) or binary (Ki, Mi, …) suffix.',
        ...(edition === 'v2'
          ? { type: 'string' }
          : { oneOf: [{ type: 'string' }, { type: 'number' }] }),
      };
    case NAMED_SCALARS.intOrString:
      return {
        description: 'An integer, or a string such as a percentage or the name of a port.',
        format: 'int-or-string',
        ...(edition === 'v2'
          ? { type: 'string' }
          : { oneOf: [{ type: 'integer' }, { type: 'string' }] }),
      };
    case PATCH_DEFINITION:
      return {
        description: 'A patch in the form that the media type of the request names.',
        type: 'object',
      };
    default:
      return undefined;
  }
}

/** A definition as OpenAPI says it, with the kinds that it is. */
export function definitionSchema(
  definition: Definition,
  kinds: readonly GroupVersionKind[],
  edition: Edition,
): JsonObject {
  const properties: JsonObject = {};
  const required: string[] = [];
  for (const [name, field] of definition.fields) {
    properties[name] = fieldSchema(described(name, field), edition);
    if (field.required) required.push(name);
  }
  return {
    description: definition.description,
    type: 'object',
    ...(required.length > 0 ? { required } : {}),
    ...(definition.fields.size > 0 ? { properties } : {}),
    ...(definition.mapType ? { 'x-kubernetes-map-type': definition.mapType } : {}),
    ...(kinds.length > 0 ? { 'x-kubernetes-group-version-kind': kinds } : {}),
  };
}

export const STANDARD_METADATA =
  "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

function described(name: string, field: Field): Field {
  const isMetadata = name === 'metadata' && field.description === '';
  return isMetadata ? { ...field, description: STANDARD_METADATA } : field;
}

function fieldSchema(field: Field, edition: Edition): JsonObject {
  const type = typeSchema(field.type, edition);
  // In v3 nothing may stand beside a $ref; v2 clients expect it there.
  const open = edition === 'v3' && '$ref' in type ? { allOf: [type] } : type;
  return {
    description: field.description,
    ...open,
    ...(field.listType ? { 'x-kubernetes-list-type': field.listType } : {}),
    ...(field.listMapKeys ? { 'x-kubernetes-list-map-keys': field.listMapKeys } : {}),
    ...(field.mapType ? { 'x-kubernetes-map-type': field.mapType } : {}),
    ...(field.patchStrategy ? { 'x-kubernetes-patch-strategy': field.patchStrategy } : {}),
    ...(field.patchMergeKey ? { 'x-kubernetes-patch-merge-key': field.patchMergeKey } : {}),
  };
}

function typeSchema(type: TypeRef, edition: Edition): JsonObject {
  switch (type.kind) {
    case 'string':
    case 'boolean':
      return { type: type.kind };
    case 'int32':
    case 'int64':
      return { type: 'integer', format: type.kind };
    case 'double':
      return { type: 'number', format: 'double' };
    case 'bytes':
      return { type: 'string', format: 'byte' };
    case 'any':
      return {};
    case 'array':
      return { type: 'array', items: typeSchema(type.of, edition) };
    case 'map':
      return { type: 'object', additionalProperties: typeSchema(type.of, edition) };
    case 'object':
      return { $ref: REF_PREFIX[edition] + type.name };
    default:
      return { $ref: REF_PREFIX[edition] + NAMED_SCALARS[type.kind] };
  }
}

/** Every definition that a schema refers to, itself not counted. */
export function referredNames(node: unknown, into: Set<string> = new Set()): Set<string> {
  if (Array.isArray(node)) for (const item of node) referredNames(item, into);
  else if (typeof node === 'object' && node !== null) {
    for (const [key, value] of Object.entries(node)) {
      if (key === '$ref' && typeof value === 'string')
        into.add(value.slice(value.lastIndexOf('/') + 1));
      else referredNames(value, into);
    }
  }
  return into;
}
