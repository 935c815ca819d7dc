import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, startApiServer, type TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';

let server: TestApiServer;
beforeAll(async () => {
  server = await startApiServer();
});
afterAll(() => server.stop());

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

const SPEC_SCHEMA = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      required: ['size'],
      properties: {
        size: { type: 'integer', minimum: 1, maximum: 10 },
        color: { type: 'string', default: 'red', enum: ['red', 'blue'] },
        code: { type: 'string', pattern: '^[a-z]+$', maxLength: 5 },
        port: { 'x-kubernetes-int-or-string': true },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        parts: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: {
            type: 'object',
            required: ['name'],
            properties: { name: { type: 'string' }, weight: { type: 'integer', default: 1 } },
          },
        },
      },
    },
    status: {
      type: 'object',
      properties: { ready: { type: 'boolean' }, size: { type: 'integer' } },
    },
  },
};

function crd(plural: string, kind: string, version: object = {}, spec: object = {}) {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.example.com` },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural, kind, shortNames: [plural.slice(0, 3)] },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: SPEC_SCHEMA },
          ...version,
        },
      ],
      ...spec,
    },
  };
}

async function define(definition: ReturnType<typeof crd>): Promise<void> {
  const { status, text } = await server.request('POST', CRDS, { body: definition });
  if (status !== 201) throw new Error(text);
  await established(definition.metadata.name);
}

function established(name: string): Promise<Answer> {
  return eventually(`${name} is established`, async () => {
    const answer = await server.request('GET', `${CRDS}/${name}`);
    const conditions: { type: string; status: string }[] = answer.body.status?.conditions ?? [];
    const found = conditions.some(
      ({ type, status }) => type === 'Established' && status === 'True',
    );
    return found ? answer : undefined;
  });
}

const path = (plural: string, version = 'v1') =>
  `/apis/example.com/${version}/namespaces/default/${plural}`;
const object = (kind: string, name: string, spec: unknown, version = 'v1') => ({
  apiVersion: `example.com/${version}`,
  kind,
  metadata: { name },
  spec,
});

describe('a custom resource', () => {
  beforeAll(() =>
    define(
      crd('widgets', 'Widget', {
        subresources: {
          status: {},
          scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.size' },
        },
        additionalPrinterColumns: [
          { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
          { name: 'Ready', type: 'string', jsonPath: '.status.ready' },
        ],
        selectableFields: [{ jsonPath: '.spec.color' }],
      }),
    ),
  );

  const WIDGETS = path('widgets');
  const widget = (name: string, spec: unknown) => object('Widget', name, spec);
  const create = (name: string, spec: unknown, query = '') =>
    server.request('POST', WIDGETS + query, { body: widget(name, spec) });

  it('is in discovery and OpenAPI', async () => {
    const { body } = await server.request('GET', '/apis/example.com/v1');
    const names = body.resources.map((r: { name: string }) => r.name);
    expect(names).toEqual(expect.arrayContaining(['widgets', 'widgets/scale', 'widgets/status']));
    const index = await server.request('GET', '/openapi/v3');
    const url = index.body.paths['apis/example.com/v1'].serverRelativeURL;
    const { schemas } = (await server.request('GET', url)).body.components;
    expect(schemas['com.example.v1.Widget'].properties.spec.properties.size.maximum).toBe(10);
    expect(schemas['com.example.v1.WidgetList']).toBeDefined();
  });

  it('is pruned, defaulted and stored with generation 1', async () => {
    const { status, body, headers } = await create('pruned', {
      size: 2,
      junk: 1,
      free: { any: [1] },
      parts: [{ name: 'a', junk: 1 }],
    });
    expect(status).toBe(201);
    expect(body.spec).toEqual({
      size: 2,
      color: 'red',
      free: { any: [1] },
      parts: [{ name: 'a', weight: 1 }],
    });
    expect(body.metadata.generation).toBe(1);
    expect(headers.warning).toContain('unknown field \\"spec.junk\\"');
  });

  it('refuses unknown fields when asked to be strict', async () => {
    const { status, body } = await create(
      'strict',
      { size: 1, junk: 1 },
      '?fieldValidation=Strict',
    );
    expect(status).toBe(400);
    expect(body.message).toContain('strict decoding error: unknown field "spec.junk"');
  });

  it.each([
    ['a missing field', {}, 'spec.size: Required value'],
    [
      'another type',
      { size: 'x' },
      'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"',
    ],
    [
      'a number too large',
      { size: 11 },
      'spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10',
    ],
    [
      'a value outside the enum',
      { size: 1, color: 'green' },
      'spec.color: Unsupported value: "green": supported values: "red", "blue"',
    ],
    [
      'a pattern',
      { size: 1, code: 'A' },
      'spec.code: Invalid value: "A": spec.code in body should match \'^[a-z]+$\'',
    ],
    [
      'a long text',
      { size: 1, code: 'abcdef' },
      'spec.code: Too long: may not be more than 5 bytes',
    ],
    [
      'duplicate keys',
      { size: 1, parts: [{ name: 'a' }, { name: 'a' }] },
      'spec.parts[1]: Duplicate value: {"name":"a"}',
    ],
    [
      'a boolean for int-or-string',
      { size: 1, port: true },
      'spec.port in body must be of type integer,string: "boolean"',
    ],
  ])('is refused for %s', async (_name, spec, message) => {
    const { status, body } = await create('refused', spec);
    expect(status).toBe(422);
    expect(body.message).toContain(message);
  });

  it('keeps status and spec apart and counts generations of the spec', async () => {
    const made = await create('status', { size: 1 });
    const body = { ...made.body, spec: { size: 2 }, status: { ready: true } };
    const main = await server.request('PUT', `${WIDGETS}/status`, { body });
    expect(main.body.status).toBeUndefined();
    expect(main.body.metadata.generation).toBe(2);
    const status = await server.request('PUT', `${WIDGETS}/status/status`, {
      body: { ...main.body, spec: { size: 9 }, status: { ready: true } },
    });
    expect(status.body).toMatchObject({ spec: { size: 2 }, status: { ready: true } });
    expect(status.body.metadata.generation).toBe(2);
    const metadata = { labels: { late: 'yes' } };
    const { body: last } = await server.request('PATCH', `${WIDGETS}/status/status`, {
      body: { metadata, status: { ready: false } },
    });
    expect([last.metadata.labels, last.status]).toEqual([undefined, { ready: false }]);
  });

  it('needs a resourceVersion to be replaced', async () => {
    await create('versionless', { size: 1 });
    const { status, body } = await server.request('PUT', `${WIDGETS}/versionless`, {
      body: widget('versionless', { size: 2 }),
    });
    expect(status).toBe(422);
    expect(body.message).toContain('metadata.resourceVersion');
  });

  it('scales', async () => {
    await create('scaled', { size: 1 });
    const { body } = await server.request('PATCH', `${WIDGETS}/scaled/scale`, {
      body: { spec: { replicas: 3 } },
    });
    expect(body).toMatchObject({ kind: 'Scale', spec: { replicas: 3 } });
    expect((await server.request('GET', `${WIDGETS}/scaled`)).body.spec.size).toBe(3);
  });

  it('merges applied lists by key and refuses strategic patches', async () => {
    const apply = (manager: string, parts: object[]) =>
      server.request('PATCH', `${WIDGETS}/applied?fieldManager=${manager}`, {
        body: widget('applied', { size: 1, parts }),
        type: 'application/apply-patch+yaml',
      });
    expect((await apply('one', [{ name: 'a' }])).status).toBe(201);
    const both = await apply('two', [{ name: 'b', weight: 2 }]);
    expect(both.body.spec.parts.map((p: { name: string }) => p.name)).toEqual(['a', 'b']);
    const left = await apply('one', []);
    expect(left.body.spec.parts.map((p: { name: string }) => p.name)).toEqual(['b']);
    const strategic = await server.request('PATCH', `${WIDGETS}/applied`, {
      body: {},
      type: 'application/strategic-merge-patch+json',
    });
    expect(strategic.status).toBe(415);
  });

  it('prints its columns and is selected by its fields', async () => {
    await create('blue', { size: 4, color: 'blue' });
    const query = '?fieldSelector=spec.color%3Dblue';
    const table = await server.request('GET', WIDGETS + query, {
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
    });
    const names = table.body.columnDefinitions.map((c: { name: string }) => c.name);
    expect(names).toEqual(['Name', 'Size', 'Ready']);
    expect(table.body.rows.map((r: { cells: unknown[] }) => r.cells)).toEqual([['blue', 4, null]]);
  });

  it('gets new defaults when it is read', async () => {
    await create('older', { size: 1 });
    const current = await server.request('GET', `${CRDS}/widgets.example.com`);
    const [version] = current.body.spec.versions;
    version.schema.openAPIV3Schema.properties.spec.properties.fresh = {
      type: 'string',
      default: 'new',
    };
    const changed = await server.request('PUT', `${CRDS}/widgets.example.com`, {
      body: current.body,
    });
    expect(changed.status).toBe(200);
    await eventually('the new default is served', async () => {
      const { body } = await server.request('GET', `${WIDGETS}/older`);
      return body.spec.fresh === 'new';
    });
  });
});

describe('CEL rules', () => {
  const rule = (text: string, more: object = {}) => ({ rule: text, ...more });
  beforeAll(() =>
    define(
      crd('ruled', 'Ruled', {
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                'x-kubernetes-validations': [
                  rule('self.min <= self.max', { message: 'min must not exceed max' }),
                  rule("!has(self.name) || self.name.startsWith('x')", {
                    messageExpression: "'bad name ' + self.name",
                    fieldPath: '.name',
                  }),
                ],
                properties: {
                  min: { type: 'integer' },
                  max: { type: 'integer' },
                  name: { type: 'string' },
                  lower: {
                    type: 'string',
                    'x-kubernetes-validations': [rule('self == self.lowerAscii()')],
                  },
                  list: {
                    type: 'array',
                    maxItems: 100,
                    items: { type: 'integer' },
                    'x-kubernetes-validations': [
                      rule('self.all(a, self.all(b, self.all(c, a + b + c > 0)))'),
                    ],
                  },
                  once: {
                    type: 'string',
                    'x-kubernetes-validations': [
                      rule("oldSelf.orValue('') == '' || oldSelf.value() == self", {
                        optionalOldSelf: true,
                      }),
                    ],
                  },
                  fixed: {
                    type: 'string',
                    'x-kubernetes-validations': [
                      rule('self == oldSelf', {
                        message: 'is immutable',
                        reason: 'FieldValueForbidden',
                      }),
                    ],
                  },
                },
              },
            },
          },
        },
      }),
    ),
  );
  const create = (name: string, spec: object) =>
    server.request('POST', path('ruled'), { body: object('Ruled', name, spec) });

  it('judge creates, with their messages', async () => {
    expect((await create('good', { min: 1, max: 1 })).status).toBe(201);
    const bad = await create('bad', { min: 2, max: 1 });
    expect(bad.status).toBe(422);
    expect(bad.body.message).toContain('spec: Invalid value: min must not exceed max');
    const named = await create('named', { min: 1, max: 1, name: 'y' });
    expect(named.body.message).toContain('spec.name: Invalid value: bad name y');
  });

  it('judge transitions', async () => {
    await create('fixed', { min: 1, max: 1, fixed: 'a' });
    const patch = (fixed: string) =>
      server.request('PATCH', `${path('ruled')}/fixed`, { body: { spec: { fixed } } });
    expect((await patch('a')).status).toBe(200);
    const refused = await patch('b');
    expect(refused.status).toBe(422);
    expect(refused.body.message).toContain('spec.fixed: Forbidden: is immutable');
  });

  it('may look at an optional value of before', async () => {
    expect((await create('once', { min: 1, max: 1, once: 'a' })).status).toBe(201);
    const patch = (once: string) =>
      server.request('PATCH', `${path('ruled')}/once`, { body: { spec: { once } } });
    expect((await patch('a')).status).toBe(200);
    expect((await patch('b')).status).toBe(422);
  });

  it('cost no more than they may', async () => {
    const list = Array.from({ length: 100 }, (_, i) => i + 1);
    const { status, body } = await create('costly', { min: 1, max: 1, list });
    expect(status).toBe(422);
    expect(body.message).toContain('no further validation rules will be run due to call cost');
    expect((await create('cheap', { min: 1, max: 1, list: [1, 2] })).status).toBe(201);
  });

  it.each([
    ["self.spec.nothing == 'x'", "undefined field 'nothing'"],
    [
      "self.spec.name + 1 == 'x'",
      "found no matching overload for '_+_' applied to '(string, int)'",
    ],
    ['self.spec.name ==', 'Syntax error'],
    ['self.spec.name', 'cel expression must evaluate to a bool'],
    ["self.metadata.labels['a'] == 'b'", "undefined field 'labels'"],
    ['other == 1', "undeclared reference to 'other'"],
  ])('are refused for %s', async (text, why) => {
    const properties = { spec: { type: 'object', properties: { name: { type: 'string' } } } };
    const openAPIV3Schema = {
      type: 'object',
      properties,
      'x-kubernetes-validations': [rule(text)],
    };
    const wrong = crd('wrongs', 'Wrong', { schema: { openAPIV3Schema } });
    const { status, body } = await server.request('POST', CRDS, { body: wrong });
    expect(status).toBe(422);
    expect(body.message).toContain(why);
  });

  it.each([
    ['self.cases.all(c, !c.message.contains(c.expected))', {}, 'by factor of 5.4x'],
    ['self.cases.all(c, !c.message.contains(c.expected))', { maxItems: 3 }, undefined],
    ['self.free.all(a, self.free.all(b, a == b))', {}, 'by factor of more than 100x'],
    ['self.free.size() < 10', {}, undefined],
  ])('may not be too costly by their looks: %s %o', async (text, more, why) => {
    const long = { type: 'string', maxLength: 4096 };
    const items = { type: 'object', properties: { message: long, expected: long } };
    const spec = {
      type: 'object',
      properties: {
        cases: { type: 'array', maxItems: 20, items, ...more },
        free: { type: 'array', items: { type: 'string' } },
      },
      'x-kubernetes-validations': [rule(text)],
    };
    const openAPIV3Schema = { type: 'object', properties: { spec } };
    const costly = crd('costlies', 'Costly', { schema: { openAPIV3Schema } });
    const { status, body } = await server.request('POST', `${CRDS}?dryRun=All`, { body: costly });
    expect(status).toBe(why === undefined ? 201 : 422);
    if (why) expect(body.message).toContain(`estimated rule cost exceeds budget ${why}`);
  });

  it('do not judge anew what did not change', async () => {
    const definition = (rules: object[]) =>
      crd('ratchets', 'Ratchet', {
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: {
                  name: { type: 'string', 'x-kubernetes-validations': rules },
                  other: { type: 'string' },
                },
              },
            },
          },
        },
      });
    await define(definition([]));
    const body = object('Ratchet', 'old', { name: 'UPPER' });
    await server.request('POST', path('ratchets'), { body });
    const [version] = definition([rule('self == self.lowerAscii()', { message: 'lower' })]).spec
      .versions;
    await server.request('PATCH', `${CRDS}/ratchets.example.com`, {
      body: { spec: { versions: [version] } },
    });
    const patch = (spec: object) =>
      server.request('PATCH', `${path('ratchets')}/old`, { body: { spec } });
    await eventually(
      'the rule judges',
      async () => (await patch({ name: 'OTHER' })).status === 422,
    );
    expect((await patch({ other: 'x' })).status).toBe(200);
  });

  it('must compile', async () => {
    const broken = crd('broken', 'Broken', {
      schema: {
        openAPIV3Schema: { type: 'object', 'x-kubernetes-validations': [{ rule: 'self.a +' }] },
      },
    });
    const { status, body } = await server.request('POST', CRDS, { body: broken });
    expect(status).toBe(422);
    expect(body.message).toContain('x-kubernetes-validations[0].rule');
    expect(body.message).toContain('compilation failed');
  });
});

describe('a CustomResourceDefinition', () => {
  it.each([
    [
      'a wrong name',
      { ...crd('as', 'A'), metadata: { name: 'bs.example.com' } },
      'must be spec.names.plural+"."+spec.group',
    ],
    ['no schema', crd('as', 'A', { schema: {} }), 'schemas are required'],
    [
      'no storage version',
      crd('as', 'A', { storage: false }),
      'must have exactly one version marked as storage version',
    ],
    [
      'a root that is no object',
      crd('as', 'A', { schema: { openAPIV3Schema: { type: 'string' } } }),
      'must be "object" at the root',
    ],
    [
      'a property without type',
      crd('as', 'A', { schema: { openAPIV3Schema: { type: 'object', properties: { a: {} } } } }),
      'properties[a].type: Required value',
    ],
    [
      'a scope of its own',
      crd('as', 'A', {}, { scope: 'Galaxy' }),
      'spec.scope: Unsupported value: "Galaxy"',
    ],
    [
      'a pattern that is none',
      crd('as', 'A', {
        schema: {
          openAPIV3Schema: { type: 'object', properties: { a: { type: 'string', pattern: '(' } } },
        },
      }),
      'must be a valid regular expression',
    ],
  ])('is refused for %s', async (_name, body, message) => {
    const answer = await server.request('POST', CRDS, { body });
    expect(answer.status).toBe(422);
    expect(answer.body.message).toContain(message);
  });

  it('does not get names that another one has', async () => {
    await define(crd('firsts', 'First'));
    const rival = crd('rivals', 'First');
    await server.request('POST', CRDS, { body: rival });
    const conditions = await eventually('the names are refused', async () => {
      const { body } = await server.request('GET', `${CRDS}/rivals.example.com`);
      return body.status?.conditions;
    });
    expect(conditions).toEqual([
      expect.objectContaining({
        type: 'NamesAccepted',
        status: 'False',
        reason: 'ListKindConflict',
      }),
      expect.objectContaining({ type: 'Established', status: 'False', reason: 'NotAccepted' }),
    ]);
    expect((await server.request('GET', path('rivals'))).status).toBe(404);
  });

  it('serves several versions of one stored object', async () => {
    const versions = ['v1', 'v2'].map((name) => ({
      name,
      served: true,
      storage: name === 'v2',
      schema: { openAPIV3Schema: SPEC_SCHEMA },
    }));
    await define(crd('multis', 'Multi', {}, { versions }));
    await server.request('POST', path('multis'), { body: object('Multi', 'one', { size: 3 }) });
    const newer = await server.request('GET', `${path('multis', 'v2')}/one`);
    expect(newer.body).toMatchObject({ apiVersion: 'example.com/v2', spec: { size: 3 } });
    const older = await server.request('GET', `${path('multis')}/one`);
    expect(older.body.apiVersion).toBe('example.com/v1');
  });

  it('goes with all its objects, and its place in discovery with it', async () => {
    await define(crd('shorts', 'Short'));
    for (const name of ['a', 'b']) {
      await server.request('POST', path('shorts'), { body: object('Short', name, { size: 1 }) });
    }
    expect((await server.request('DELETE', `${CRDS}/shorts.example.com`)).status).toBe(200);
    await eventually('the definition is gone', async () => {
      const { status } = await server.request('GET', `${CRDS}/shorts.example.com`);
      return status === 404;
    });
    expect((await server.request('GET', path('shorts'))).status).toBe(404);
    await define(crd('shorts', 'Short'));
    expect((await server.request('GET', path('shorts'))).body.items).toEqual([]);
  });

  it('survives hostile patterns and keys', async () => {
    const definition = crd('hostiles', 'Hostile', {
      schema: {
        openAPIV3Schema: {
          type: 'object',
          properties: {
            spec: { type: 'object', properties: { text: { type: 'string', pattern: '^(a+)+$' } } },
          },
        },
      },
    });
    await define(definition);
    // Tried in all ways, the pattern would take for ever.
    const answer = await server.request('POST', path('hostiles'), {
      body: object('Hostile', 'a', { text: `${'a'.repeat(50_000)}!` }),
    });
    expect(answer.status).toBe(422);
    const polluted = `{"apiVersion":"example.com/v1","kind":"Hostile","metadata":{"name":"p"},"spec":{"__proto__":{"x":1}}}`;
    const pruned = await server.request('POST', path('hostiles'), { body: polluted });
    expect(pruned.body.spec).toEqual({});
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });
});
