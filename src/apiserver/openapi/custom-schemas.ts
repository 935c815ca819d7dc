import { isObject, type JsonObject } from '../../util/json.ts';
import type { GroupVersionKind } from '../discovery-groups.ts';
import { type Edition, REF_PREFIX, STANDARD_METADATA } from './schemas.ts';

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1';

/** What v2 does not know, and v3 clients do. */
const ONLY_V3 = new Set(['oneOf', 'anyOf', 'not', 'nullable']);

/** The schema of a custom kind, with the fields that every object has. */
export function customSchema(
  openApi: JsonObject,
  { kinds, head }: { readonly kinds: readonly GroupVersionKind[]; readonly head: JsonObject },
  edition: Edition,
): JsonObject {
  if (edition === 'v2' && openApi[PRESERVES] === true) {
    return { type: 'object', 'x-kubernetes-group-version-kind': kinds, [PRESERVES]: true };
  }
  const made = editionOf(openApi, edition) as JsonObject;
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

function editionOf(node: unknown, edition: Edition): unknown {
  if (Array.isArray(node)) return node.map((item) => editionOf(item, edition));
  if (!isObject(node)) return node;
  const made: JsonObject = {};
  for (const [key, value] of Object.entries(node)) {
    if (edition === 'v2' && (ONLY_V3.has(key) || (isFree(node) && STRUCTURE.has(key)))) continue;
    made[key] =
      key === '$ref' && typeof value === 'string'
        ? REF_PREFIX[edition] + value
        : editionOf(value, edition);
  }
  return made;
}

/** What a value that may be null, or hold anything, is made of cannot be said in v2. */
const STRUCTURE = new Set(['type', 'properties', 'items', 'additionalProperties', 'required']);

function isFree(node: JsonObject): boolean {
  return node.nullable === true || node[PRESERVES] === true;
}
