import { describe, expect, it } from 'vitest';
import { fc } from '../../../test/support/properties.ts';
import { isInvalid } from '../../api/errors.ts';
import { cloneJson } from '../../util/json.ts';
import { applyJsonPatch } from './json-patch.ts';

const op = (op: string, path: string, rest: object = {}) => ({ op, path, ...rest });

describe('applyJsonPatch', () => {
  it.each([
    ['adds a member', { a: 1 }, [op('add', '/b', { value: 2 })], { a: 1, b: 2 }],
    ['inserts before an element', [1, 3], [op('add', '/1', { value: 2 })], [1, 2, 3]],
    ['appends with -', [1], [op('add', '/-', { value: 2 })], [1, 2]],
    ['replaces the whole document', { a: 1 }, [op('add', '', { value: [] })], []],
    ['removes an element', { a: [1, 2] }, [op('remove', '/a/0')], { a: [2] }],
    ['moves', { a: 1 }, [op('move', '/b', { from: '/a' })], { b: 1 }],
    ['copies', { a: [1] }, [op('copy', '/b', { from: '/a' })], { a: [1], b: [1] }],
    ['unescapes ~1 and ~0', { 'a/b~': 1 }, [op('remove', '/a~1b~0')], {}],
    ['unescapes ~01 to ~1', { '~1': 1 }, [op('replace', '/~01', { value: 2 })], { '~1': 2 }],
    [
      'tests deeply, whatever the key order',
      { a: { x: 1, y: 2 } },
      [op('test', '/a', { value: { y: 2, x: 1 } })],
      { a: { x: 1, y: 2 } },
    ],
    ['finds null where a member is missing', {}, [op('test', '/a', { value: null })], {}],
  ])('%s', (_name, document, patch, wanted) => {
    expect(applyJsonPatch(document, patch)).toEqual(wanted);
  });

  it.each([
    ['a failed test', { a: 1 }, [op('test', '/a', { value: 2 })], 'testing value /a failed'],
    [
      'replacing what is missing',
      {},
      [op('replace', '/a', { value: 2 })],
      'replace operation does not apply: doc is missing key: /a',
    ],
    ['removing what is missing', {}, [op('remove', '/a')], 'Unable to remove nonexistent key: a'],
    [
      'adding below what is missing',
      {},
      [op('add', '/a/b', { value: 1 })],
      'add operation does not apply: doc is missing path: "/a/b"',
    ],
    [
      'an index beyond the end',
      [1],
      [op('add', '/2', { value: 1 })],
      'Unable to access invalid index: 2',
    ],
    [
      'an index with a leading zero',
      [1],
      [op('remove', '/00')],
      'Unable to access invalid index: 00',
    ],
    [
      'a move into its own child',
      { a: {} },
      [op('move', '/a/b', { from: '/a' })],
      'cannot move into itself',
    ],
    [
      'walking into a prototype',
      {},
      [op('add', '/constructor/prototype/x', { value: 1 })],
      'doc is missing path',
    ],
    [
      'walking through __proto__',
      {},
      [op('add', '/__proto__/x', { value: 1 })],
      'doc is missing path',
    ],
  ])('refuses %s and changes nothing', (_name, document, patch, message) => {
    const before = cloneJson(document);
    expect(() => applyJsonPatch(document, patch)).toThrow(message);
    expect(() => applyJsonPatch(document, patch)).toThrow(expect.toSatisfy(isInvalid));
    expect(document).toEqual(before);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  it.each([
    ['no list', { op: 'add' }],
    ['an unknown operation', [op('merge', '/a')]],
    ['no path', [{ op: 'remove' }]],
    ['a path that is no pointer', [op('remove', 'a')]],
    ['an add without value', [op('add', '/a')]],
    ['a move without from', [op('move', '/a')]],
    ['an operation that is no object', [null]],
  ])('answers BadRequest for %s', (_name, patch) => {
    expect(() => applyJsonPatch({}, patch)).toThrow(expect.objectContaining({ code: 400 }));
  });

  it('refuses more than 10000 operations', () => {
    const patch = Array.from({ length: 10_001 }, () => op('test', '', { value: {} }));
    expect(() => applyJsonPatch({}, patch)).toThrow(expect.objectContaining({ code: 413 }));
  });

  it('refuses copies that grow the document without bound', () => {
    const patch = Array.from({ length: 30 }, () => op('copy', '/a/-', { from: '/a' }));
    expect(() => applyJsonPatch({ a: ['x'.repeat(100)] }, patch)).toThrow('exceeding the limit');
  });

  it('stores a member named __proto__ as data', () => {
    const patch = [op('add', '/__proto__', { value: { polluted: true } })];
    const result = applyJsonPatch({}, patch) as Record<string, unknown>;
    expect(JSON.stringify(result)).toBe('{"__proto__":{"polluted":true}}');
    expect(result.polluted).toBeUndefined();
  });

  it('add then remove is the identity on objects without the member', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.string(),
        fc.jsonValue(),
        (doc, key, value) => {
          fc.pre(!Object.hasOwn(doc, key));
          const path = `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
          const there = applyJsonPatch(doc, [
            op('add', path, { value }),
            op('test', path, { value }),
          ]);
          expect(JSON.stringify(applyJsonPatch(there, [op('remove', path)]))).toBe(
            JSON.stringify(doc),
          );
        },
      ),
    );
  });
});
