import { describe, expect, it } from 'vitest';
import { linearRegExp } from './linear-regexp.ts';

describe('linearRegExp', () => {
  it.each([
    ['^[[:alnum:]_-]+$', ['aZ9_-'], ['a b', ':']],
    ['^[[:^digit:]]+$', ['ab:é'], ['a1']],
    ['(?i)^ab[c-e]$', ['ABc', 'abD'], ['abf']],
    ['^(?i:a)b$', ['Ab', 'ab'], ['aB']],
    ['^(?i)[^k]$', ['a'], ['k', 'K']],
    ['\\Aa\\z', ['a'], ['ab', 'a\n']],
    ['^\\Qa.b\\E+$', ['a.bbb'], ['axb']],
    ['^(?P<y>\\d{4})-(?<m>\\d\\d)$', ['2026-01'], ['26-1']],
    ['^[]a-]+$', [']a-'], ['b']],
    ['^.$', ['a', '\r'], ['\n', '']],
    ['(?s)^.$', ['\n'], []],
    ['(?m)^b$', ['a\nb\nc'], ['ab']],
    ['^\\s$', [' ', '\t'], ['\v', '\u00a0']],
    ['^a{,3}$', ['a{,3}'], ['aaa']],
    ['^\\x41\\x{42}\\103\\_\\/$', ['ABC_/'], ['ABC']],
    ['^[\\w.-]{2,3}$', ['a.-'], ['a', 'a+b']],
    ['^$', [''], ['a']],
  ])('reads %s as Go does', (pattern, matching, others) => {
    const regExp = linearRegExp(pattern);
    expect(matching.filter((text) => !regExp.test(text))).toEqual([]);
    expect(others.filter((text) => regExp.test(text))).toEqual([]);
  });

  it.each([
    ['a(b', 'missing closing ): `a(b`'],
    ['a)b', 'unexpected ): `a)b`'],
    ['x[a', 'missing closing ]: `[a`'],
    ['[]', 'missing closing ]: `[]`'],
    ['*', 'missing argument to repetition operator: `*`'],
    ['a|+', 'missing argument to repetition operator: `+`'],
    ['a**', 'invalid nested repetition operator: `**`'],
    ['x{2}{3}', 'invalid nested repetition operator: `{2}{3}`'],
    ['\\1', 'invalid escape sequence: `\\1`'],
    ['\\y', 'invalid escape sequence: `\\y`'],
    ['a\\', 'trailing backslash at end of expression: ``'],
    ['[z-a]', 'invalid character class range: `z-a`'],
    ['[[:foo:]]', 'invalid character class range: `[:foo:]`'],
    ['a{1001}', 'invalid repeat count: `{1001}`'],
    ['a{2,1}', 'invalid repeat count: `{2,1}`'],
    ['(?=a)', 'invalid or unsupported Perl syntax: `(?=`'],
    ['(?P<n', 'invalid named capture: `(?P<n`'],
    ['(?P<n-x>a)', 'invalid named capture: `(?P<n-x>`'],
    ['\\p{Greek}', 'Unicode character classes are not supported here: `\\p{Greek}`'],
  ])('refuses %s in the words of Go', (pattern, why) => {
    expect(() => linearRegExp(pattern)).toThrow(`error parsing regexp: ${why}`);
  });

  it.each(['(a+)+$', '(?i)(a+)+$', '(?i)^(?:[a-z]+)*$', '(?s)(.*)*x$'])(
    'matches %s in linear time',
    (pattern) => {
      // In another it would take longer than the test has.
      expect(linearRegExp(pattern).test(`${'a'.repeat(60)}!`)).toBe(false);
    },
  );
});
