import type { JsonObject } from '../../util/json.ts';
import type { DefinitionSource } from './definitions.ts';
import type { Operation, QueryParameter } from './operations.ts';
import { REF_PREFIX } from './schemas.ts';

/** The OpenAPI v3 document of one group version. */
export function documentV3(
  operations: readonly Operation[],
  definitions: DefinitionSource,
  version: string,
): JsonObject {
  const byPath = Map.groupBy(operations, ({ path }) => path);
  const paths = Object.fromEntries([...byPath].map(([path, ops]) => [path, pathItem(ops)]));
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version },
    paths,
    components: {
      schemas: definitions.reachableFrom(paths, 'v3'),
      securitySchemes: {
        BearerToken: {
          type: 'apiKey',
          description: 'Bearer Token authentication',
          name: 'authorization',
          in: 'header',
        },
      },
    },
  };
}

function pathItem(operations: readonly Operation[]): JsonObject {
  const item: JsonObject = {};
  for (const operation of operations) item[operation.method] = operationObject(operation);
  const names = operations[0]?.pathParameters ?? [];
  item.parameters = [
    ...names.map((name) => ({
      name,
      in: 'path',
      description: name === 'name' ? 'name of the object' : 'object name and auth scope',
      required: true,
      schema: { type: 'string', uniqueItems: true },
    })),
    queryParameter({
      name: 'pretty',
      type: 'string',
      description: 'Answer JSON that is indented for people.',
    }),
  ];
  return item;
}

function queryParameter({ name, type, description }: QueryParameter): JsonObject {
  return { name, in: 'query', description, schema: { type, uniqueItems: true } };
}

function operationObject(operation: Operation): JsonObject {
  const answers = operation.answer === undefined ? undefined : ref(operation.answer);
  const ok = {
    description: 'OK',
    content: answers
      ? contents(['application/json', 'application/yaml'], answers)
      : contents(['*/*'], { type: 'string' }),
  };
  return {
    tags: [operation.tag],
    description: operation.description,
    operationId: operation.id,
    ...(operation.query.length > 0 ? { parameters: operation.query.map(queryParameter) } : {}),
    ...(operation.body === undefined
      ? {}
      : { requestBody: requestBody(operation, operation.body) }),
    responses: {
      200: ok,
      ...(operation.action === 'post' ? { 201: { ...ok, description: 'Created' } } : {}),
      401: { description: 'Unauthorized' },
    },
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': operation.of,
  };
}

function requestBody(operation: Operation, definition: string): JsonObject {
  const types = operation.method === 'patch' ? patchTypes(operation.strategic === true) : ['*/*'];
  const isRequired = operation.method !== 'delete';
  return { content: contents(types, ref(definition)), ...(isRequired ? { required: true } : {}) };
}

/** What PATCH understands, in upstream's order. */
export function patchTypes(strategic: boolean): string[] {
  return [
    'application/json-patch+json',
    'application/merge-patch+json',
    ...(strategic ? ['application/strategic-merge-patch+json'] : []),
    'application/apply-patch+yaml',
  ];
}

function contents(types: readonly string[], schema: JsonObject): JsonObject {
  return Object.fromEntries(types.map((type) => [type, { schema }]));
}

function ref(definition: string): JsonObject {
  return { $ref: REF_PREFIX.v3 + definition };
}
