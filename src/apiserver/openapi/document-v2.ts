import type { JsonObject } from '../../util/json.ts';
import type { DefinitionSource } from './definitions.ts';
import { patchTypes } from './document-v3.ts';
import type { Operation, QueryParameter } from './operations.ts';
import { REF_PREFIX } from './schemas.ts';

const READ_TYPES = ['application/json', 'application/yaml'];

/** The OpenAPI v2 document (Swagger 2.0) of everything that is served. */
export function documentV2(
  operations: readonly Operation[],
  definitions: DefinitionSource,
  version: string,
): JsonObject {
  const byPath = Map.groupBy(operations, ({ path }) => path);
  const paths = Object.fromEntries([...byPath].map(([path, ops]) => [path, pathItem(ops)]));
  return {
    swagger: '2.0',
    info: { title: 'Kubernetes', version },
    paths,
    definitions: definitions.reachableFrom(paths, 'v2'),
    securityDefinitions: {
      BearerToken: {
        description: 'Bearer Token authentication',
        type: 'apiKey',
        name: 'authorization',
        in: 'header',
      },
    },
    security: [{ BearerToken: [] }],
  };
}

function pathItem(operations: readonly Operation[]): JsonObject {
  const item: JsonObject = {};
  for (const operation of operations) item[operation.method] = operationObject(operation);
  const names = operations[0]?.pathParameters ?? [];
  item.parameters = [
    ...names.map((name) => ({
      uniqueItems: true,
      type: 'string',
      description: name === 'name' ? 'name of the object' : 'object name and auth scope',
      name,
      in: 'path',
      required: true,
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
  return { uniqueItems: true, type, description, name, in: 'query' };
}

function operationObject(operation: Operation): JsonObject {
  const { body, answer } = operation;
  const isPatch = operation.method === 'patch' && body !== undefined;
  const schema = answer === undefined ? { type: 'string' } : ref(answer);
  const parameters = [
    ...(body === undefined
      ? []
      : [{ name: 'body', in: 'body', required: operation.method !== 'delete', schema: ref(body) }]),
    ...operation.query.map(queryParameter),
  ];
  return {
    description: operation.description,
    consumes: isPatch ? patchTypes(operation.strategic === true) : ['*/*'],
    produces: answer === undefined ? ['*/*'] : READ_TYPES,
    schemes: ['https'],
    tags: [operation.tag],
    operationId: operation.id,
    ...(parameters.length > 0 ? { parameters } : {}),
    responses: {
      200: { description: 'OK', schema },
      ...(operation.action === 'post' ? { 201: { description: 'Created', schema } } : {}),
      401: { description: 'Unauthorized' },
    },
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': operation.of,
  };
}

function ref(definition: string): JsonObject {
  return { $ref: REF_PREFIX.v2 + definition };
}
