import { describe, expect, it } from 'vitest';
import { linearRegExp, PatternBudget } from './linear-regexp.ts';

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
    ['^a{20}$', ['a'.repeat(20)], ['a'.repeat(19), 'a'.repeat(21)]],
    ['^(?:ab){2,40}?$', ['ab'.repeat(2), 'ab'.repeat(40)], ['ab', 'ab'.repeat(41)]],
    ['^(a{10}){10}$', ['a'.repeat(100)], ['a'.repeat(99), 'a'.repeat(101)]],
    ['^x|(?:a{5}|b){3,}$', ['x', 'b'.repeat(3), 'a'.repeat(35)], ['bb', 'a'.repeat(14)]],
    ['^(?i:k{17,}\\.)$', [`${'kK'.repeat(20)}.`], [`${'k'.repeat(16)}.`]],
    ['^\\Qab\\E{20}$', [`a${'b'.repeat(20)}`], ['ab'.repeat(20)]],
    ['^(?:a{0}b{0,1}){2}$', ['', 'b', 'bb'], ['a']],
  ])('reads %s as Go does', (pattern, matching, others) => {
    const { regExp } = linearRegExp(pattern);
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
    ['((a{100}){10}){2}', 'invalid repeat count: `{2}`'],
    [`(?:${'a'.repeat(30)}){1000}`, 'expression too large'],
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
      expect(linearRegExp(pattern).regExp.test(`${'a'.repeat(60)}!`)).toBe(false);
    },
  );

  it.each([
    ['^(a?){30}a{30}$', 'a'.repeat(29)],
    [`^${'a?'.repeat(80)}${'a'.repeat(80)}$`, 'a'.repeat(79)],
    ['(?m)^(a+)+$', `${'a'.repeat(60)}!`],
    ['^((a{0,20}){0,20})*b$', 'a'.repeat(1000)],
  ])('matches %s in linear time, too', (pattern, text) => {
    expect(linearRegExp(pattern).regExp.test(text)).toBe(false);
  });
});

describe('a budget for patterns', () => {
  it('is used up by long texts of large patterns, not by either alone', () => {
    const budget = new PatternBudget();
    expect(budget.test('^[a-z]{900}$', 'a'.repeat(900))).toBe(true);
    expect(budget.test('^[a-z]*$', 'a'.repeat(1_000_000))).toBe(true);
    expect(() => budget.test('^[a-z]{900}', 'a'.repeat(1_000_000))).toThrow(
      "is too long to be matched against '^[a-z]{900}'",
    );
  });
});
