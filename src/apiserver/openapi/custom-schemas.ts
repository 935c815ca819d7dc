import { isObject, type JsonObject } from '../../util/json.ts';
import type { GroupVersionKind } from '../discovery-groups.ts';
import { type Edition, REF_PREFIX } from './schemas.ts';

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1';

const HEAD = {
  apiVersion: {
    description: 'The group and version of the schema that this object follows.',
    type: 'string',
  },
  kind: { description: 'The name of the type of this object.', type: 'string' },
};

/** What v2 does not know, and v3 clients do. */
const ONLY_V3 = new Set(['oneOf', 'anyOf', 'not', 'nullable']);

/** The schema of a custom kind, with the fields that every object has. */
export function customSchema(
  openApi: JsonObject,
  kinds: readonly GroupVersionKind[],
  edition: Edition,
): JsonObject {
  const made = editionOf(openApi, edition) as JsonObject;
  const isList = isObject(openApi.properties) && openApi[IS_LIST] === true;
  const metadata = { $ref: `${REF_PREFIX[edition]}${META}.${isList ? 'ListMeta' : 'ObjectMeta'}` };
  const { [IS_LIST]: _, ...told } = made;
  return {
    ...told,
    properties: {
      ...HEAD,
      ...(made.properties as JsonObject | undefined),
      metadata: edition === 'v3' ? { allOf: [metadata] } : metadata,
    },
    'x-kubernetes-group-version-kind': kinds,
  };
}

const IS_LIST = 'x-k8ts-list';

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
    if (edition === 'v2' && ONLY_V3.has(key)) continue;
    made[key] =
      key === '$ref' && typeof value === 'string'
        ? REF_PREFIX[edition] + value
        : editionOf(value, edition);
  }
  return made;
}
