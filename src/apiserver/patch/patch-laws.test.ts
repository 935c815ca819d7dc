import { describe, expect, it } from 'vitest';
import { fc } from '../../../test/support/properties.ts';
import type { Definition, Field, Schema, TypeRef } from '../../api/schema.ts';
import { isObject, type JsonObject, jsonEqual } from '../../util/json.ts';
import { applyJsonPatch } from './json-patch.ts';
import { applyStrategicMergePatch } from './strategic-merge-patch.ts';

// The patch that a client makes of two documents leads from the one to the other, whatever they are.

const STRING: TypeRef = { kind: 'string' };
const field = (type: TypeRef, rest: Partial<Field> = {}): Field => ({
  ...{ type, description: '', required: false },
  ...rest,
});
const object = (name: string): TypeRef => ({ kind: 'object', name });
const merged = (name: string, patchMergeKey: string) =>
  field({ kind: 'array', of: object(name) }, { patchStrategy: 'merge', patchMergeKey });

const DEFINITIONS: Record<string, Record<string, Field>> = {
  Root: {
    containers: merged('Container', 'name'),
    finalizers: field({ kind: 'array', of: STRING }, { patchStrategy: 'merge' }),
    args: field({ kind: 'array', of: STRING }),
    labels: field({ kind: 'map', of: STRING }),
    strategy: field(object('Strategy'), { patchStrategy: 'retainKeys' }),
    spec: field(object('Container')),
  },
  Container: { name: field(STRING), image: field(STRING), env: merged('Variable', 'name') },
  Variable: { name: field(STRING), value: field(STRING) },
  Strategy: { type: field(STRING), size: field(STRING) },
};
const definitions = new Map<string, Definition>(
  Object.entries(DEFINITIONS).map(([name, fields]) => [
    name,
    { name, description: '', fields: new Map(Object.entries(fields)) },
  ]),
);
const schema: Schema = {
  definition: (name) => definitions.get(name),
  names: () => definitions.keys(),
};

const word = fc.constantFrom('a', 'b', 'c', 'd');
const some = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
const words = fc.uniqueArray(word);
const byName = { selector: (item: { name: string }) => item.name };
const variable = fc.record({ name: word, value: some(word) });
const container = fc.record({
  name: word,
  image: some(word),
  env: some(fc.uniqueArray(variable, byName)),
});
const root = fc
  .record({
    containers: some(fc.uniqueArray(container, byName)),
    finalizers: some(words),
    args: some(words),
    labels: some(fc.dictionary(word, word)),
    strategy: some(fc.record({ type: some(word), size: some(word) })),
    spec: some(container),
  })
  .map((value) => JSON.parse(JSON.stringify(value)) as JsonObject);

/** What kubectl makes of two documents (strategicpatch.CreateTwoWayMergePatch). */
function strategicDiff(before: JsonObject, after: JsonObject, name: string): JsonObject {
  const patch: JsonObject = {};
  for (const key of Object.keys(before)) if (!Object.hasOwn(after, key)) patch[key] = null;
  for (const [key, to] of Object.entries(after)) {
    const from = before[key];
    const type = DEFINITIONS[name]?.[key];
    if (!jsonEqual(from, to)) Object.assign(patch, fieldDiff(key, from, to, type));
  }
  return patch;
}

function fieldDiff(key: string, from: unknown, to: unknown, type: Field | undefined): JsonObject {
  if (Array.isArray(from) && Array.isArray(to) && type?.patchStrategy === 'merge') {
    return listDiff(key, from, to, type);
  }
  if (!isObject(from) || !isObject(to)) return { [key]: to };
  const diff = strategicDiff(from, to, type?.type.kind === 'object' ? type.type.name : '');
  const retains = type?.patchStrategy === 'retainKeys';
  return { [key]: retains ? { ...diff, $retainKeys: Object.keys(to) } : diff };
}

function listDiff(key: string, from: unknown[], to: unknown[], type: Field): JsonObject {
  const by = type.patchMergeKey;
  if (by === undefined) {
    const gone = from.filter((one) => !to.includes(one));
    return {
      [key]: to.filter((one) => !from.includes(one)),
      ...(gone.length > 0 ? { [`$deleteFromPrimitiveList/${key}`]: gone } : {}),
      ...(to.length > 0 ? { [`$setElementOrder/${key}`]: to } : {}),
    };
  }
  const items = from as JsonObject[];
  const wanted = to as JsonObject[];
  const of = type.type.kind === 'array' && type.type.of.kind === 'object' ? type.type.of.name : '';
  const find = (list: JsonObject[], one: JsonObject) => list.find((other) => other[by] === one[by]);
  const changes = wanted.flatMap((one) => {
    const was = find(items, one);
    if (jsonEqual(was, one)) return [];
    return [was ? { ...strategicDiff(was, one, of), [by]: one[by] } : one];
  });
  const gone = items.filter((one) => !find(wanted, one));
  return {
    [key]: [...changes, ...gone.map((one) => ({ [by]: one[by], $patch: 'delete' }))],
    ...(wanted.length > 0
      ? { [`$setElementOrder/${key}`]: wanted.map((one) => ({ [by]: one[by] })) }
      : {}),
  };
}

describe('a strategic merge patch', () => {
  const apply = (document: JsonObject, patch: JsonObject) =>
    applyStrategicMergePatch(structuredClone(document), structuredClone(patch), {
      ...{ schema, definition: 'Root' },
    });

  it('made of two documents leads from one to the other, and there again', () => {
    fc.assert(
      fc.property(root, root, (before, after) => {
        const patch = strategicDiff(before, after, 'Root');
        const patched = apply(before, patch) as JsonObject;
        expect(patched).toEqual(after);
        expect(apply(patched, patch)).toEqual(after);
      }),
      { numRuns: 500 },
    );
  });

  it('that is empty changes nothing; one that replaces leaves nothing of before', () => {
    fc.assert(
      fc.property(root, root, (before, after) => {
        expect(apply(before, {})).toEqual(before);
        expect(apply(before, { ...after, $patch: 'replace' })).toEqual(after);
      }),
    );
  });
});

/** Operations that make `after` of `before`. */
function operations(before: unknown, after: unknown, path = ''): JsonObject[] {
  if (jsonEqual(before, after)) return [];
  if (!isObject(before) || !isObject(after)) return [{ op: 'replace', path, value: after }];
  const at = (key: string) => `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
  return [
    ...Object.keys(before)
      .filter((key) => !Object.hasOwn(after, key))
      .map((key) => ({ op: 'remove', path: at(key) })),
    ...Object.entries(after).flatMap(([key, value]) =>
      Object.hasOwn(before, key)
        ? operations(before[key], value, at(key))
        : [{ op: 'add', path: at(key), value }],
    ),
  ];
}

describe('a JSON patch', () => {
  const documents = fc.dictionary(fc.constantFrom('a', 'b', 'a/b', '~', 'm~n'), fc.jsonValue());

  it('made of two documents leads from one to the other, and tests hold before and after it', () => {
    fc.assert(
      fc.property(documents, documents, (before, after) => {
        const patch = [
          { op: 'test', path: '', value: before },
          ...operations(before, after),
          { op: 'test', path: '', value: after },
        ];
        expect(applyJsonPatch(structuredClone(before), patch)).toEqual(after);
      }),
      { numRuns: 500 },
    );
  });

  it('that moves there and back, or copies and removes, changes nothing', () => {
    fc.assert(
      fc.property(documents, fc.jsonValue(), (document, value) => {
        const before = { ...document, a: value };
        const patch = [
          { op: 'move', from: '/a', path: '/elsewhere' },
          { op: 'copy', from: '/elsewhere', path: '/a' },
          { op: 'remove', path: '/elsewhere' },
        ];
        expect(applyJsonPatch(structuredClone(before), patch)).toEqual(before);
      }),
    );
  });
});
