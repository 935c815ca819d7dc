import { expect, test } from 'vitest';
import { fc } from '../../test/support/properties.ts';
import { fieldsMatch, formatFieldSelector, parseFieldSelector } from './fields.ts';

test('reads terms, operators and escapes', () => {
  expect(parseFieldSelector('metadata.name=a,status.phase!=Running,x==b\\,c')).toEqual([
    { field: 'metadata.name', operator: '=', value: 'a' },
    { field: 'status.phase', operator: '!=', value: 'Running' },
    { field: 'x', operator: '=', value: 'b,c' },
  ]);
  expect(parseFieldSelector('')).toEqual([]);
});

test.each([
  ['a', "invalid selector: 'a'; can't understand 'a'"],
  ['a=b\\c', 'invalid escape sequence'],
])('%j is refused', (text, message) => expect(() => parseFieldSelector(text)).toThrow(message));

test('matches by equality, and absent fields are empty', () => {
  expect(fieldsMatch(parseFieldSelector('a=1,b!=2'), { a: '1' })).toBe(true);
  expect(fieldsMatch(parseFieldSelector('a=1'), { a: '2' })).toBe(false);
  expect(fieldsMatch(parseFieldSelector('a='), {})).toBe(true);
  expect(fieldsMatch(parseFieldSelector('constructor='), {})).toBe(true);
});

test('printing and reading are inverse', () => {
  const requirement = fc.record({
    field: fc.stringMatching(/^[a-z.]{1,10}$/),
    operator: fc.constantFrom('=' as const, '!=' as const),
    value: fc.string(),
  });
  fc.assert(
    fc.property(fc.array(requirement), (selector) => {
      expect(parseFieldSelector(formatFieldSelector(selector))).toEqual(selector);
    }),
  );
});
