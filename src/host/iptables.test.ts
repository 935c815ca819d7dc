import { describe, expect, it } from 'vitest';
import { chooseVariant, supportsRandomFully } from './iptables.ts';

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

describe('supportsRandomFully', () => {
  it.each([
    ['iptables v1.6.1', false],
    ['iptables v1.6.2', true],
    ['iptables v1.8.9 (nf_tables)', true],
    ['nonsense', false],
  ])('reads %s', (version, supported) => expect(supportsRandomFully(version)).toBe(supported));
});
