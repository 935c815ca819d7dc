import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, startApiServer, type TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';

let server: TestApiServer;
beforeAll(async () => {
  server = await startApiServer();
  await server.request('POST', PATH, { body: map('here') });
});
afterAll(() => server.stop());

const PATH = '/api/v1/namespaces/default/configmaps';
const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const YAML = 'application/yaml';
const SMP = 'application/strategic-merge-patch+json';
const JSON_PATCH = 'application/json-patch+json';
const APPLY = 'application/apply-patch+yaml';

const map = (name: string, more: object = {}) => ({
  ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } },
  ...more,
});

/** A JSON text whose `field` is nested so deep. */
function nested(field: string, depth: number, open: string, close: string): string {
  const deep = `${open.repeat(depth)}1${close.repeat(depth)}`;
  return `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"deep"},"${field}":${deep}}`;
}

function aliasBomb(): string {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
  for (let i = 1; i < 12; i++) {
    lines.push(
      `a${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(', ')}]`,
    );
  }
  return `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\n${lines.join('\n')}\n`;
}

const MB = 1024 * 1024;
const bytes = (...parts: (string | number[])[]): Buffer =>
  Buffer.concat(parts.map((part) => Buffer.from(part as string)));

const BODIES: [string, string | Buffer, string?][] = [
  ['nothing', ''],
  ['half an object', '{"apiVersion":"v1","kind":'],
  ['no JSON', 'hello'],
  ['an array', '[]'],
  ['null', 'null'],
  ['a number', '42'],
  ['objects 10,000 levels deep', nested('data', 10_000, '{"a":', '}')],
  ['lists 10,000 levels deep', nested('data', 10_000, '[', ']')],
  ['10,000 levels that never end', '{"a":'.repeat(10_000)],
  ['YAML 10,000 levels deep', `${'['.repeat(10_000)}${']'.repeat(10_000)}`, YAML],
  ['a YAML alias bomb', aliasBomb(), YAML],
  ['a YAML alias of itself', 'a: &a\n  b: *a\n', YAML],
  ['YAML with tabs', 'a:\n\t- b', YAML],
  ['NaN', '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"n","generation":NaN}}'],
  ['a huge integer', JSON.stringify(map('n')).replace('"n"', '"n","generation":1e400')],
  [
    'invalid UTF-8',
    bytes('{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"', [0xff, 0xfe], '"}}'),
  ],
  ['a NUL in the name', JSON.stringify(map('a\u0000b'))],
  [
    'broken protobuf',
    bytes('k8s', [0, 0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
    'application/vnd.kubernetes.protobuf',
  ],
  ['an unknown media type', '{}', 'application/x-nothing'],
  ['data that is no map', JSON.stringify(map('n', { data: 'x' }))],
  ['metadata that is a list', '{"apiVersion":"v1","kind":"ConfigMap","metadata":[]}'],
  [
    'labels that are numbers',
    JSON.stringify({ ...map('n'), metadata: { name: 'n', labels: { a: 1 } } }),
  ],
  ['3 MB and a bit', JSON.stringify(map('big', { data: { a: 'x'.repeat(3 * MB + 100) } }))],
  ['10 MB', JSON.stringify(map('big', { data: { a: 'x'.repeat(10 * MB) } }))],
];

const PATCHES: [string, string, string][] = [
  ['a JSON patch that is no list', '{}', JSON_PATCH],
  ['an unknown operation', '[{"op":"destroy","path":"/data"}]', JSON_PATCH],
  ['a path to nowhere', '[{"op":"replace","path":"/a/b/c","value":1}]', JSON_PATCH],
  ['a path without a slash', '[{"op":"add","path":"data","value":{}}]', JSON_PATCH],
  ['a failing test', '[{"op":"test","path":"/data","value":{"a":"b"}}]', JSON_PATCH],
  [
    '20,000 operations',
    JSON.stringify(Array.from({ length: 20_000 }, () => ({ op: 'test', path: '', value: {} }))),
    JSON_PATCH,
  ],
  [
    'a list index of a billion',
    '[{"op":"add","path":"/metadata/finalizers","value":[]},{"op":"add","path":"/metadata/finalizers/999999999","value":"a/b"}]',
    JSON_PATCH,
  ],
  ['a merge patch that is a list', '[]', 'application/merge-patch+json'],
  ['an unknown directive', '{"$patch":"explode"}', SMP],
  ['a directive of the wrong type', '{"metadata":{"$retainKeys":5}}', SMP],
  ['an apply of another object', 'apiVersion: v1\nkind: Secret\nmetadata: {name: here}', APPLY],
  ['an apply of text', 'hello', APPLY],
  ['a deep merge patch', '{"a":'.repeat(10_000), 'application/merge-patch+json'],
];

const LISTS = [
  'limit=x',
  'limit=99999999999999999999',
  'continue=%00%ff',
  'continue=e30',
  'resourceVersion=-5',
  'resourceVersion=abc',
  'resourceVersionMatch=Exact',
  'resourceVersionMatch=Bogus&resourceVersion=1',
  'labelSelector=a%20in%20(',
  `labelSelector=${'('.repeat(3000)}`,
  `labelSelector=${encodeURIComponent('a in (b,'.repeat(300))}`,
  'fieldSelector=metadata.name%3D%3D%3Dx%2C',
  'fieldSelector=spec.nothing%3D1',
  'watch=1&timeoutSeconds=x',
  'watch=1&sendInitialEvents=true',
];

async function refused(answer: Promise<Answer>): Promise<Answer> {
  const got = await answer;
  expect(got.body, got.text.slice(0, 300)).toMatchObject({ kind: 'Status', status: 'Failure' });
  expect(got.status).toBe(got.body.code);
  expect(got.status).toBeGreaterThanOrEqual(400);
  expect(got.status).toBeLessThan(500);
  return got;
}

describe('bad input is refused with a Status, whatever it is:', () => {
  it.each(BODIES)('a body of %s', async (_what, body, type = 'application/json') => {
    await refused(server.request('POST', PATH, { body, type }));
  });

  it.each(PATCHES)('%s', async (_what, body, type) => {
    await refused(server.request('PATCH', `${PATH}/here?fieldManager=x`, { body, type }));
  });

  it.each(LISTS)('a list with %s', async (query) => {
    await refused(server.request('GET', `${PATH}?${query.slice(0, 8000)}`));
  });

  it('a label selector that cannot be read, and says where', async () => {
    const { body } = await refused(server.request('GET', `${PATH}?labelSelector=a%20in%20b`));
    expect(body.message).toBe("unable to parse requirement: found 'b' expected: '('");
  });

  it.each([
    ['fieldManager', `POST ${PATH}?fieldManager=${'x'.repeat(200)}`],
    ['dryRun', `POST ${PATH}?dryRun=Perhaps`],
    ['gracePeriodSeconds', `DELETE ${PATH}/here?gracePeriodSeconds=soon`],
    ['propagationPolicy', `DELETE ${PATH}/here?propagationPolicy=Sideways`],
    ['an escaped path', `GET ${PATH}/..%2f..%2f..%2fsecrets`],
    ['a broken escape', `GET ${PATH}/%zz`],
    ['a very long name', `GET ${PATH}/${'a'.repeat(4000)}`],
    ['a method nobody knows', `BREW ${PATH}`],
  ])('%s', async (_what, line) => {
    const [method = '', path = ''] = line.split(' ');
    const body = method === 'POST' ? map('q') : undefined;
    await refused(server.request(method, path, { body }));
  });

  it('takes any grace period of 64 bits, and a shorter one after it', async () => {
    const pods = '/api/v1/namespaces/default/pods';
    const body = {
      metadata: { name: 'patient', finalizers: ['example.com/stays'] },
      spec: { nodeName: 'somewhere', containers: [{ name: 'c', image: 'i' }] },
    };
    await server.request('POST', '/api/v1/namespaces/default/serviceaccounts', {
      body: { metadata: { name: 'default' } },
    });
    expect((await server.request('POST', pods, { body })).status).toBe(201);
    const options = '{"gracePeriodSeconds":9007199254740994}';
    const first = await server.request('DELETE', `${pods}/patient`, { body: options });
    expect(first.body.metadata.deletionTimestamp).toMatch(/^9999-12-31T/);
    const before = Date.now();
    const second = await server.request('DELETE', `${pods}/patient?gracePeriodSeconds=30`);
    const { deletionGracePeriodSeconds, deletionTimestamp } = second.body.metadata;
    expect(deletionGracePeriodSeconds).toBe(30);
    expect(Math.abs(Date.parse(deletionTimestamp) - before - 30_000)).toBeLessThan(30_000);
  });

  it('patterns of definitions that would run away', async () => {
    const text = (pattern: string) => ({ type: 'string', pattern });
    const properties = {
      nested: text('^(([a-z])+.)+[A-Z]([a-z])+$'),
      counted: text('^(a?){30}a{30}$'),
      large: text('^([a-z]?){900}x'),
    };
    const spec = { type: 'object', properties };
    const body = {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'slows.example.com' },
      spec: {
        ...{ group: 'example.com', scope: 'Namespaced', names: { plural: 'slows', kind: 'Slow' } },
        versions: [
          {
            ...{ name: 'v1', served: true, storage: true },
            schema: { openAPIV3Schema: { type: 'object', properties: { spec } } },
          },
        ],
      },
    };
    expect((await server.request('POST', CRDS, { body })).status).toBe(201);
    const path = '/apis/example.com/v1/namespaces/default/slows';
    await eventually('served', async () => (await server.request('GET', path)).status === 200);
    for (const [field, length] of [
      ['nested', 1e5],
      ['counted', 29],
      ['large', 1e6],
    ] as const) {
      const slow = {
        ...{ apiVersion: 'example.com/v1', kind: 'Slow', metadata: { name: 'slow' } },
        spec: { [field]: 'a'.repeat(length) },
      };
      await refused(server.request('POST', path, { body: slow }));
    }
  });

  it('and nobody else is the worse for it', async () => {
    const { status, body } = await server.request('GET', `${PATH}/here`);
    expect(status).toBe(200);
    expect(body.metadata.name).toBe('here');
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe('names that mean something to JavaScript', () => {
  it.each(['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty'])(
    '%s is an ordinary key of labels, data and patches',
    async (key) => {
      const name = `key-${key.toLowerCase().replaceAll('_', '')}`;
      const text = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"${name}"},"data":{"${key}":"v"}}`;
      const made = await server.request('POST', PATH, { body: text });
      expect(made.status).toBe(201);
      expect(Object.hasOwn(made.body.data, key)).toBe(true);
      for (const type of [SMP, 'application/merge-patch+json']) {
        const body = `{"data":{"${key}":"${type.length}"},"${key}":{"polluted":"yes"}}`;
        const patched = await server.request('PATCH', `${PATH}/${name}`, { body, type });
        expect(patched.status).toBe(200);
        const { value } = Object.getOwnPropertyDescriptor(patched.body.data, key) ?? {};
        expect(value).toBe(String(type.length));
      }
      const added = `[{"op":"add","path":"/data/${key}","value":"w"}]`;
      const patched = await server.request('PATCH', `${PATH}/${name}`, {
        ...{ body: added, type: JSON_PATCH },
      });
      expect(patched.status).toBe(200);
      expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    },
  );
});
