import { describe, expect, it } from 'vitest';
import { parseEnvFile } from './env-file.ts';

describe('parseEnvFile', () => {
  it('reads quoted values literally, over several lines, past comments', () => {
    const text = "# first\n\nA='1'\n  B='$A \"x\"' # why\nC='one\ntwo'\nD=''\n";
    expect([...parseEnvFile(text)]).toEqual([
      ['A', '1'],
      ['B', '$A "x"'],
      ['C', 'one\ntwo'],
      ['D', ''],
    ]);
  });

  it.each([
    ['no quotes', 'A=1', /line 1/],
    ['no closing quote', "A='1\n2", /closing quote of A/],
    ['more after the value', "\nA='1'2", /line 2/],
    ['no name', "='1'", /line 1/],
  ])('refuses %s', (_what, text, message) => {
    expect(() => parseEnvFile(text)).toThrow(message);
  });
});
