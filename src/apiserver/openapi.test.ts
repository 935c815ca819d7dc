import { describe, expect, it } from 'vitest';
import { builtinSchema } from '../api/builtin-schema.ts';
import { readMessage } from '../api/protobuf-reader.ts';
import { referredNames } from './openapi/schemas.ts';
import { OpenApi } from './openapi.ts';
import { builtinKinds } from './resources/registry.ts';

const openApi = new OpenApi({ kinds: builtinKinds, schema: builtinSchema(), version: 'v1.36.2' });

function read(url: string) {
  const { pathname, searchParams } = new URL(url, 'http://server');
  const answer = openApi.handle(pathname, searchParams);
  if (answer?.type !== 'document') throw new Error(`no document at ${url}`);
  return { immutable: answer.immutable, body: JSON.parse(answer.bytes.toString()) };
}

const index = read('/openapi/v3').body as { paths: Record<string, { serverRelativeURL: string }> };
const documents = Object.values(index.paths).map(({ serverRelativeURL }) =>
  read(serverRelativeURL),
);

describe('OpenAPI v3', () => {
  it('lists each group version by the hash of its document', () => {
    expect(Object.keys(index.paths)).toEqual(expect.arrayContaining(['api/v1', 'apis/apps/v1']));
    expect(documents.every(({ immutable }) => immutable)).toBe(true);
  });

  it('redirects a stale hash to the newest one', () => {
    const answer = openApi.handle('/openapi/v3/api/v1', new URLSearchParams({ hash: 'OLD' }));
    expect(answer).toEqual({
      type: 'redirect',
      location: index.paths['api/v1']?.serverRelativeURL,
    });
  });

  it('knows nothing elsewhere', () => {
    expect(openApi.handle('/openapi/v3/apis/nope/v1', new URLSearchParams())).toBeUndefined();
  });

  it('defines everything that it refers to', () => {
    for (const { body } of documents) {
      const defined = new Set(Object.keys(body.components.schemas));
      expect([...referredNames(body)].filter((name) => !defined.has(name))).toEqual([]);
    }
  });

  it.each(
    builtinKinds().map((kind) => [`${kind.group}/${kind.version} ${kind.kind}`, kind] as const),
  )(
    '%s has a schema by its kind, and operations that tell of fieldValidation',
    (_name, { group, version, kind, definition, verbs }) => {
      const { body } = read(
        `/openapi/v3/${group === '' ? `api/${version}` : `apis/${group}/${version}`}`,
      );
      const schema = body.components.schemas[definition];
      expect(schema['x-kubernetes-group-version-kind']).toEqual([{ group, version, kind }]);
      expect(schema.properties.metadata.allOf).toHaveLength(1);
      if (!verbs.includes('patch')) return;
      const patches = Object.values<{ patch?: Record<string, unknown> }>(body.paths).flatMap(
        ({ patch }) => (patch ? [patch] : []),
      );
      const own = patches.find(
        (p) => (p['x-kubernetes-group-version-kind'] as { kind: string }).kind === kind,
      );
      expect(own?.parameters).toContainEqual(expect.objectContaining({ name: 'fieldValidation' }));
      expect(own?.requestBody).toHaveProperty([
        'content',
        'application/strategic-merge-patch+json',
      ]);
    },
  );

  it('tells how lists merge', () => {
    const { schemas } = read('/openapi/v3/api/v1').body.components;
    expect(schemas['io.k8s.api.core.v1.PodSpec'].properties.containers).toMatchObject({
      type: 'array',
      items: { $ref: '#/components/schemas/io.k8s.api.core.v1.Container' },
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      'x-kubernetes-patch-strategy': 'merge',
      'x-kubernetes-patch-merge-key': 'name',
    });
    expect(schemas['io.k8s.api.core.v1.PodSpec'].required).toEqual(['containers']);
  });

  it('names operations uniquely', () => {
    const ids = documents.flatMap(({ body }) =>
      Object.values<Record<string, { operationId?: string }>>(body.paths).flatMap((item) =>
        Object.values(item).flatMap(({ operationId }) => operationId ?? []),
      ),
    );
    expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
  });
});

describe('a change of the kinds', () => {
  it('makes the documents of other groups no anew', () => {
    let kinds: ReturnType<typeof builtinKinds> = builtinKinds();
    const changing = new OpenApi({ kinds: () => kinds, schema: builtinSchema(), version: 'v1' });
    const ask = (path: string) => {
      const answer = changing.handle(path, new URLSearchParams());
      return answer?.type === 'document' ? answer.bytes : undefined;
    };
    const [apps, batch] = [ask('/openapi/v3/apis/apps/v1'), ask('/openapi/v3/apis/batch/v1')];
    const two = ask('/openapi/v2');
    kinds = kinds.filter(({ kind }) => kind !== 'CronJob');
    expect(ask('/openapi/v3/apis/apps/v1')).toBe(apps);
    expect(ask('/openapi/v3/apis/batch/v1')).not.toEqual(batch);
    expect(ask('/openapi/v2')).not.toEqual(two);
    kinds = kinds.filter(({ group }) => group !== 'batch');
    expect(ask('/openapi/v3/apis/batch/v1')).toBeUndefined();
  });
});

describe('OpenAPI v3 as protocol buffers', () => {
  const AT = 'application/com.github.proto-openapi.spec.v3@v1.0+protobuf';
  const place = '/openapi/v3/apis/apps/v1';
  const ask = (accept?: string) => openApi.handle(place, new URLSearchParams(), accept);

  it('says the same as the JSON', () => {
    const answer = ask(AT);
    if (answer?.type !== 'document') throw new Error('no document');
    expect(answer.contentType).toBe(AT.replace('@', '.'));
    const { body } = read(place);
    const paths: string[] = [];
    const schemas = new Map<string, string>();
    let version = '';
    readMessage(answer.bytes, {
      1: (reader) => {
        version = reader.text();
      },
      4: (all) => readMessage(all.bytes(), { 1: (pair) => paths.push(nameOf(pair.bytes())) }),
      5: (components) =>
        readMessage(components.bytes(), {
          1: (all) => readMessage(all.bytes(), { 1: (pair) => addSchema(pair.bytes(), schemas) }),
        }),
    });
    expect(version).toBe('3.0.0');
    expect(paths.sort()).toEqual(Object.keys(body.paths).sort());
    const described = Object.entries<{ description?: string }>(body.components.schemas);
    expect([...schemas].sort()).toEqual(
      described.map(([name, { description = '' }]) => [name, description]).sort(),
    );
  });

  it('is refused in forms that it does not have', () => {
    expect(() => ask('application/xml')).toThrow(expect.objectContaining({ code: 406 }));
  });
});

/** The name of a pair. */
function nameOf(bytes: Buffer): string {
  let name = '';
  readMessage(bytes, {
    1: (reader) => {
      name = reader.text();
    },
  });
  return name;
}

/** NamedSchemaOrReference: its name, and the description of its schema. */
function addSchema(bytes: Buffer, found: Map<string, string>): void {
  let description = '';
  readMessage(bytes, {
    2: (either) =>
      readMessage(either.bytes(), {
        1: (schema) =>
          readMessage(schema.bytes(), {
            34: (reader) => {
              description = reader.text();
            },
          }),
      }),
  });
  found.set(nameOf(bytes), description);
}

describe('OpenAPI v2', () => {
  const ask = (accept?: string) => openApi.handle('/openapi/v2', new URLSearchParams(), accept);
  const AT = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
  const { body } = read('/openapi/v2');

  it('is one document of every group, and defines everything that it refers to', () => {
    expect(body.swagger).toBe('2.0');
    const defined = new Set(Object.keys(body.definitions));
    expect([...referredNames(body)].filter((name) => !defined.has(name))).toEqual([]);
    for (const { definition, virtual } of builtinKinds()) {
      if (!virtual) expect(defined).toContain(definition);
    }
  });

  it('says the same in the protocol buffers that older clients ask for', () => {
    const answer = ask(AT);
    if (answer?.type !== 'document') throw new Error('no document');
    expect(answer.contentType).toBe(AT.replace('@', '.'));
    const found = new Map<string, string>();
    let swagger = '';
    readMessage(answer.bytes, {
      1: (reader) => {
        swagger = reader.text();
      },
      9: (definitions) =>
        readMessage(definitions.bytes(), { 1: (pair) => addDefinition(pair.bytes(), found) }),
    });
    expect(swagger).toBe('2.0');
    const described = Object.entries<{ description?: string }>(body.definitions);
    expect([...found].sort()).toEqual(
      described.map(([name, { description = '' }]) => [name, description]).sort(),
    );
  });

  it('is refused in forms that it does not have', () => {
    expect(() => ask('application/xml')).toThrow(expect.objectContaining({ code: 406 }));
    expect(ask('application/xml, */*')?.type).toBe('document');
  });
});

/** NamedSchema: its name, and the description of its schema. */
function addDefinition(bytes: Buffer, found: Map<string, string>): void {
  let name = '';
  let description = '';
  readMessage(bytes, {
    1: (reader) => {
      name = reader.text();
    },
    2: (schema) =>
      readMessage(schema.bytes(), {
        4: (reader) => {
          description = reader.text();
        },
      }),
  });
  found.set(name, description);
}
