import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { fixedFlag } from './fixed-flags.ts';

describe('fixedFlag', () => {
  const parse = (...words: string[]) =>
    new Command('part')
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
      .addOption(fixedFlag('--allow-privileged', 'true', 'whether'))
      .parse(words, { from: 'user' });

  it('takes the one value', () => {
    expect(parse('--allow-privileged=true').opts()).toEqual({ allowPrivileged: 'true' });
    expect(parse().opts()).toEqual({});
  });

  it('refuses another by name', () => {
    expect(() => parse('--allow-privileged=false')).toThrow(
      /--allow-privileged.*'false' is invalid.*knows only true/,
    );
  });
});
