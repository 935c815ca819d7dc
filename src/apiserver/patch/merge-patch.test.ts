import { describe, expect, it } from 'vitest';
import { fc } from '../../../test/support/properties.ts';
import { isObject, type JsonObject, jsonEqual } from '../../util/json.ts';
import { applyMergePatch } from './merge-patch.ts';

describe('applyMergePatch', () => {
  // The examples of RFC 7386, appendix A.
  it.each([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('%j patched with %j is %j', (document, patch, wanted) => {
    expect(applyMergePatch(document, patch)).toEqual(wanted);
  });

  it('is idempotent, and the patch made from two documents leads from one to the other', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (before, after) => {
        fc.pre(!holdsNull(after) && !holdsNull(before));
        const patch = diff(before, after);
        const patched = applyMergePatch(before, patch);
        expect(jsonEqual(patched, after)).toBe(true);
        expect(jsonEqual(applyMergePatch(patched, patch), after)).toBe(true);
      }),
    );
  });

  it('keeps __proto__ as data', () => {
    const patch: unknown = JSON.parse('{"__proto__":{"polluted":true}}');
    expect(JSON.stringify(applyMergePatch({}, patch))).toBe('{"__proto__":{"polluted":true}}');
    expect(({} as JsonObject).polluted).toBeUndefined();
  });
});

function holdsNull(value: unknown): boolean {
  if (value === null) return true;
  return typeof value === 'object' && Object.values(value).some(holdsNull);
}

function diff(before: unknown, after: unknown): unknown {
  if (!isObject(before) || !isObject(after)) return after;
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return Object.fromEntries(
    [...keys].map((key) => [key, Object.hasOwn(after, key) ? diff(before[key], after[key]) : null]),
  );
}
