import { isObject, type JsonObject, own, put } from '../../util/json.ts';
import type { GroupVersionKind } from '../discovery-groups.ts';
import { type Edition, REF_PREFIX, STANDARD_METADATA } from './schemas.ts';

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1';

/** The schema of a custom kind, with the fields that every object has. */
export function customSchema(
  openApi: JsonObject,
  { kinds, head }: { readonly kinds: readonly GroupVersionKind[]; readonly head: JsonObject },
  edition: Edition,
): JsonObject {
  if (edition === 'v2' && openApi[PRESERVES] === true) {
    // kubectl takes every other word about such an object for all that may be in there.
    return { type: 'object', 'x-kubernetes-group-version-kind': kinds };
  }
  const made = editionOf(openApi, edition);
  const isList = isObject(openApi.properties) && openApi[IS_LIST] === true;
  const metadata = { $ref: `${REF_PREFIX[edition]}${META}.${isList ? 'ListMeta' : 'ObjectMeta'}` };
  const { [IS_LIST]: _, ...told } = made;
  return {
    ...told,
    properties: {
      ...(made.properties as JsonObject | undefined),
      ...head,
      metadata: {
        description: isList ? LIST_METADATA : STANDARD_METADATA,
        ...(edition === 'v3' ? { allOf: [metadata] } : metadata),
      },
    },
    'x-kubernetes-group-version-kind': kinds,
  };
}

const IS_LIST = 'x-k8ts-list';
const PRESERVES = 'x-kubernetes-preserve-unknown-fields';
const LIST_METADATA =
  'Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds';

/** The schema of the list of a custom kind. */
export function listSchema(definition: string): JsonObject {
  return {
    type: 'object',
    required: ['items'],
    properties: {
      items: { type: 'array', description: 'The objects.', items: { $ref: definition } },
    },
    [IS_LIST]: true,
  };
}

function editionOf(schema: JsonObject, edition: Edition): JsonObject {
  const made = edition === 'v2' ? withoutV3(schema) : { ...schema };
  const { $ref, properties, items, additionalProperties } = made;
  if (typeof $ref === 'string') made.$ref = REF_PREFIX[edition] + $ref;
  if (isObject(properties)) {
    const members: JsonObject = {};
    for (const [key, member] of Object.entries(properties)) put(members, key, inEdition(member));
    made.properties = members;
  }
  if (isObject(items)) made.items = inEdition(items);
  if (isObject(additionalProperties)) made.additionalProperties = inEdition(additionalProperties);
  return made;

  function inEdition(part: unknown): unknown {
    return isObject(part) ? editionOf(part, edition) : part;
  }
}

/** What v2 does not know, or older kubectl takes wrongly, is left out (apiextensions ToStructuralOpenAPIV2). */
function withoutV3(schema: JsonObject): JsonObject {
  const { allOf: _a, oneOf: _o, anyOf: _y, not: _n, nullable, ...made } = schema;
  if (nullable === true) delete made.type;
  if (nullable === true || made[PRESERVES] === true) {
    delete made.items;
    delete made.properties;
  }
  if (made.type === 'array' && made.items === undefined) delete made.type;
  if (made.type === 'object' && made[PRESERVES] === true) delete made.type;
  const required = requiredInV2(made);
  if (required.length > 0) made.required = required;
  else delete made.required;
  return made;
}

/** Null cannot be said, so that what may be null must not be demanded. */
function requiredInV2({ required, properties, additionalProperties }: JsonObject): unknown[] {
  const isNullable = (part: unknown) => isObject(part) && part.nullable === true;
  if (!Array.isArray(required) || isNullable(additionalProperties)) return [];
  const members = isObject(properties) ? properties : {};
  return required.filter((key) => !isNullable(own(members, String(key))));
}
