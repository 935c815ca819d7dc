import { describe, expect, test } from 'vitest';
import { fc } from '../../test/support/properties.ts';
import {
  formatLabelSelector,
  formatSelector,
  fromLabelSelector,
  matches,
  NOTHING,
  parseSelector,
  type Requirement,
} from './labels.ts';

describe('parseSelector', () => {
  test.each([
    ['', {}, true],
    ['app=web', { app: 'web' }, true],
    ['app==web', { app: 'api' }, false],
    ['app!=web', {}, true],
    ['app in (web, api)', { app: 'api' }, true],
    ['app notin (web,api)', { app: 'api' }, false],
    ['app notin (web)', {}, true],
    ['app', { app: '' }, true],
    ['!app', { app: '' }, false],
    ['! app', {}, true],
    ['n>1,n<3', { n: '2' }, true],
    ['n>1', { n: 'x' }, false],
    ['a=,b', { a: '', b: 'x' }, true],
    ['in in (in)', { in: 'in' }, true],
    ['example.com/role=db', { 'example.com/role': 'db' }, true],
    ['a in (,b)', { a: '' }, true],
    ['a in ()', { a: '' }, true],
  ])('%j on %j is %s', (text, labels, expected) => {
    expect(matches(parseSelector(text), labels as Record<string, string>)).toBe(expected);
  });

  test.each([
    ['a==b==c', "found '==', expected: ',' or 'end of string'"],
    ['=a', "unable to parse requirement: found '=', expected: identifier"],
    ['a,', "found '', expected: identifier after ','"],
    ['a in b', "unable to parse requirement: found 'b' expected: '('"],
    ['a>b', "for 'Gt', 'Lt' operators, the value must be an integer"],
    ['a b', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
    ['/a=b', 'prefix part must be non-empty'],
    ['a=-', 'a valid label must be an empty string or consist of'],
  ])('%j is refused: %s', (text, message) => {
    expect(() => parseSelector(text)).toThrow(message);
  });

  test('long hostile text is refused quickly', () => {
    // In a time that grew faster than the text it would take longer than the test has.
    expect(() => parseSelector(`a in (${'x'.repeat(4_000_000)}-)`)).toThrow(RangeError);
    expect(() => parseSelector('!'.repeat(4_000_000))).toThrow(RangeError);
  });
});

const words = fc.constantFrom('a', 'b', 'app', 'example.com/x');
const values = fc.constantFrom('', '1', '2', 'web', 'api');
const requirements: fc.Arbitrary<Requirement> = fc.oneof(
  fc.record({
    key: words,
    operator: fc.constantFrom('in' as const, 'notin' as const),
    values: fc.uniqueArray(values, { minLength: 1 }).map((v) => v.toSorted()),
  }),
  fc.record({
    key: words,
    operator: fc.constantFrom('=' as const, '!=' as const),
    values: values.map((v) => [v]),
  }),
  fc.record({
    key: words,
    operator: fc.constantFrom('exists' as const, '!' as const),
    values: fc.constant([]),
  }),
);
const labels = fc.dictionary(words, values);

describe('laws', () => {
  test('what is printed means the same when it is read again', () => {
    fc.assert(
      fc.property(fc.array(requirements, { maxLength: 4 }), labels, (selector, object) => {
        const again = parseSelector(formatSelector(selector));
        expect(matches(again, object)).toBe(matches(selector, object));
      }),
    );
  });

  test('a requirement and its opposite part the world in two', () => {
    fc.assert(
      fc.property(words, fc.uniqueArray(values, { minLength: 1 }), labels, (key, list, object) => {
        const chosen = matches([{ key, operator: 'in', values: list }], object);
        const rest = matches([{ key, operator: 'notin', values: list }], object);
        expect(chosen).toBe(!rest);
      }),
    );
  });
});

test('an absent LabelSelector selects nothing, an empty one everything', () => {
  expect(fromLabelSelector(undefined)).toBe(NOTHING);
  expect(matches(NOTHING, {})).toBe(false);
  expect(matches(fromLabelSelector({}), { a: 'b' })).toBe(true);
});

test('a LabelSelector prints in order of its keys', () => {
  const text = formatLabelSelector({
    matchLabels: { b: '1' },
    matchExpressions: [
      { key: 'a', operator: 'In', values: ['y', 'x'] },
      { key: 'c', operator: 'DoesNotExist' },
    ],
  });
  expect(text).toBe('a in (x,y),b=1,!c');
});
