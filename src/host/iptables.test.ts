import { describe, expect, it } from 'vitest';
import { CommandError } from './exec.ts';
import { chooseVariant, supportsRandomFully, withRule } from './iptables.ts';

describe('chooseVariant', () => {
  const rules = (n: number) => `*filter\n${'-A INPUT -j ACCEPT\n'.repeat(n)}COMMIT\n`;
  it.each([
    ['only one variant is installed', undefined, rules(3), ''],
    ['nobody uses either', rules(0), rules(0), ''],
    ['the kubelet uses nft', rules(9), '*mangle\n:KUBE-IPTABLES-HINT - [0:0]\nCOMMIT\n', '-nft'],
    ['the kubelet uses legacy', '*mangle\n:KUBE-KUBELET-CANARY - [0:0]\n', rules(9), '-legacy'],
    ['legacy holds more rules', rules(5), rules(2), '-legacy'],
    ['nft holds more rules', rules(2), rules(5), '-nft'],
  ])('decides when %s', (_name, legacy, nft, variant) => {
    expect(chooseVariant(legacy, nft)).toBe(variant);
  });
});

describe('withRule', () => {
  const input = '*nat\n:A - [0:0]\n-A A -j RETURN\n-A A -m statistic -j B\nCOMMIT\n';
  it.each([
    ['line 4: RULE_APPEND failed (No such file or directory): rule in chain A', true],
    [
      "Couldn't load match `statistic':No such file or directory\n\nError occurred at line: 4",
      true,
    ],
    // The older variant hands over a table at once, and warns of what it lacks.
    [
      'Warning: Extension statistic revision 0 not supported\niptables-restore: line 5 failed',
      false,
    ],
    ['Another app is currently holding the xtables lock', false],
    ['line 99 failed', false],
  ])('names the rule of %j: %s', (stderr, named) => {
    const facts = { program: 'iptables-restore', exitCode: 4, stderr, missing: false };
    const failure = new CommandError(`exit code 4: ${stderr}`, { ...facts, cause: undefined });
    expect(withRule(failure, input).message).toBe(
      `${failure.message}${named ? ' (-A A -m statistic -j B)' : ''}`,
    );
  });
});

describe('supportsRandomFully', () => {
  it.each([
    ['iptables v1.6.1', false],
    ['iptables v1.6.2', true],
    ['iptables v1.8.9 (nf_tables)', true],
    ['nonsense', false],
  ])('reads %s', (version, supported) => expect(supportsRandomFully(version)).toBe(supported));
});
