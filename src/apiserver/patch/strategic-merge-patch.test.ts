import { describe, expect, it } from 'vitest';
import type { Definition, Field, Schema, TypeRef } from '../../api/schema.ts';
import { applyStrategicMergePatch } from './strategic-merge-patch.ts';

const STRING: TypeRef = { kind: 'string' };

function field(type: TypeRef, rest: Partial<Field> = {}): Field {
  return { type, description: '', required: false, ...rest };
}

function definition(name: string, fields: Record<string, Field>): Definition {
  return { name, description: '', fields: new Map(Object.entries(fields)) };
}

const listOf = (name: string, key: string) =>
  field(
    { kind: 'array', of: { kind: 'object', name } },
    { patchStrategy: 'merge', patchMergeKey: key },
  );

const DEFINITIONS = [
  definition('Object', {
    containers: listOf('Container', 'name'),
    tolerations: field({ kind: 'array', of: { kind: 'object', name: 'Toleration' } }),
    finalizers: field({ kind: 'array', of: STRING }, { patchStrategy: 'merge' }),
    args: field({ kind: 'array', of: STRING }),
    labels: field({ kind: 'map', of: STRING }),
    strategy: field({ kind: 'object', name: 'Strategy' }, { patchStrategy: 'retainKeys' }),
    volumes: field(
      { kind: 'array', of: { kind: 'object', name: 'Volume' } },
      { patchStrategy: 'merge,retainKeys', patchMergeKey: 'name' },
    ),
  }),
  definition('Container', {
    name: field(STRING),
    image: field(STRING),
    env: listOf('EnvVar', 'name'),
  }),
  definition('EnvVar', { name: field(STRING), value: field(STRING) }),
  definition('Strategy', { type: field(STRING), rollingUpdate: field({ kind: 'any' }) }),
  definition('Volume', {
    name: field(STRING),
    emptyDir: field({ kind: 'any' }),
    hostPath: field({ kind: 'any' }),
  }),
];
const byName = new Map(DEFINITIONS.map((d) => [d.name, d]));
const schema: Schema = { definition: (name) => byName.get(name), names: () => byName.keys() };

const patched = (document: Record<string, unknown>, patch: unknown) =>
  applyStrategicMergePatch(document, patch, { schema, definition: 'Object' });

const named = (...names: string[]) => names.map((name) => ({ name }));

describe('applyStrategicMergePatch', () => {
  it.each([
    [
      'merges a list by its key, new elements first',
      {
        containers: [
          { name: 'a', image: 'x' },
          { name: 'b', image: 'y' },
        ],
      },
      {
        containers: [
          { name: 'b', image: 'z' },
          { name: 'c', image: 'n' },
        ],
      },
      {
        containers: [
          { name: 'a', image: 'x' },
          { name: 'b', image: 'z' },
          { name: 'c', image: 'n' },
        ],
      },
    ],
    [
      'puts an element that it alone brings before the live ones',
      { containers: named('a', 'b') },
      { containers: named('c') },
      { containers: named('c', 'a', 'b') },
    ],
    [
      'merges lists within lists',
      { containers: [{ name: 'a', env: [{ name: 'X', value: '1' }] }] },
      { containers: [{ name: 'a', env: [{ name: 'X', value: '2' }] }] },
      { containers: [{ name: 'a', env: [{ name: 'X', value: '2' }] }] },
    ],
    [
      'deletes an element with $patch: delete',
      { containers: named('a', 'b') },
      { containers: [{ name: 'a', $patch: 'delete' }] },
      { containers: named('b') },
    ],
    [
      'replaces a list with $patch: replace',
      { containers: named('a', 'b') },
      { containers: [...named('c'), { $patch: 'replace' }] },
      { containers: named('c') },
    ],
    [
      'replaces a map with $patch: replace',
      { labels: { a: '1', b: '2' } },
      { labels: { $patch: 'replace', c: '3' } },
      { labels: { c: '3' } },
    ],
    [
      'empties a map with $patch: delete',
      { labels: { a: '1' } },
      { labels: { $patch: 'delete' } },
      { labels: {} },
    ],
    [
      'replaces a list without merge strategy',
      { args: ['a', 'b'] },
      { args: ['c'] },
      { args: ['c'] },
    ],
    [
      'merges scalars as a set',
      { finalizers: ['a', 'b'] },
      { finalizers: ['b', 'c'] },
      { finalizers: ['a', 'b', 'c'] },
    ],
    [
      'deletes scalars',
      { finalizers: ['a', 'b'] },
      { '$deleteFromPrimitiveList/finalizers': ['a'] },
      { finalizers: ['b'] },
    ],
    [
      'deletes what is null',
      { labels: { a: '1', b: '2' } },
      { labels: { a: null } },
      { labels: { b: '2' } },
    ],
    ['ignores null for what is missing', { args: ['a'] }, { labels: null }, { args: ['a'] }],
    [
      'keeps only the retained keys',
      { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } },
      { strategy: { $retainKeys: ['type'], type: 'Recreate' } },
      { strategy: { type: 'Recreate' } },
    ],
    [
      'retains keys inside a merged list',
      { volumes: [{ name: 'v', emptyDir: {} }] },
      { volumes: [{ name: 'v', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/x' } }] },
      { volumes: [{ name: 'v', hostPath: { path: '/x' } }] },
    ],
    [
      'drops directives where nothing was before',
      {},
      {
        strategy: { $retainKeys: ['type'], type: 'Recreate' },
        containers: [{ name: 'z', $patch: 'delete' }, { name: 'a' }],
      },
      { strategy: { type: 'Recreate' }, containers: named('a') },
    ],
    [
      'orders by $setElementOrder, the rest where it stood',
      { containers: named('a', 'b', 'server') },
      { '$setElementOrder/containers': named('b', 'a') },
      { containers: named('b', 'a', 'server') },
    ],
    [
      'orders what it adds',
      { containers: named('a', 'b') },
      { '$setElementOrder/containers': named('a', 'c', 'b'), containers: named('c') },
      { containers: named('a', 'c', 'b') },
    ],
    [
      'orders scalars and deletes at once',
      { finalizers: ['a', 'b', 'c'] },
      { '$setElementOrder/finalizers': ['c', 'b'], '$deleteFromPrimitiveList/finalizers': ['a'] },
      { finalizers: ['c', 'b'] },
    ],
  ])('%s', (_name, document, patch, wanted) => {
    const before = structuredClone(document);
    const given = structuredClone(patch);
    expect(patched(document, patch)).toEqual(wanted);
    expect(document).toEqual(before);
    expect(patch).toEqual(given);
  });

  it.each([
    ['a patch that is no object', [], 400],
    ['an unknown directive', { labels: { $patch: 'explode' } }, 422],
    ['an element without its merge key', { containers: [{ image: 'x' }] }, 400],
    ['mixed element types', { containers: ['x'] }, 400],
    [
      'an order that misses an element',
      { '$setElementOrder/containers': named('a'), containers: named('b') },
      400,
    ],
    ['an order that is no list', { '$setElementOrder/containers': 'a' }, 400],
    ['retained keys that miss a set one', { strategy: { $retainKeys: [], type: 'Recreate' } }, 400],
    ['a merge directive in a list', { containers: [{ name: 'a', $patch: 'merge' }] }, 400],
  ])('refuses %s', (_name, patch, code) => {
    const document = { labels: { a: '1' }, containers: named('a'), strategy: { type: 'x' } };
    expect(() => patched(document, patch)).toThrow(expect.objectContaining({ code }));
  });

  it('keeps __proto__ and constructor as data', () => {
    const patch: unknown = JSON.parse('{"labels":{"__proto__":{"bad":"1"},"constructor":"c"}}');
    const result = patched({ labels: { a: '1' } }, patch);
    expect(JSON.stringify(result)).toBe(
      '{"labels":{"a":"1","__proto__":{"bad":"1"},"constructor":"c"}}',
    );
    expect(({} as Record<string, unknown>).bad).toBeUndefined();
  });
});
