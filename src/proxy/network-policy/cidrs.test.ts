import { describe, expect, it } from 'vitest';
import { fc } from '../../../test/support/properties.ts';
import { cidrContains } from '../../util/ip.ts';
import { mergeCidrs, subtractCidrs } from './cidrs.ts';

describe('subtractCidrs', () => {
  it.each<[string, string[], string[]]>([
    ['10.0.0.0/8', [], ['10.0.0.0/8']],
    ['10.0.0.0/30', ['10.0.0.1/32'], ['10.0.0.0', '10.0.0.2/31']],
    ['10.0.0.0/24', ['10.0.0.0/25', '10.0.0.128/26'], ['10.0.0.192/26']],
    ['10.0.0.0/24', ['10.0.0.0/16'], []],
    ['10.0.0.0/24', ['192.0.2.0/24', 'fd00::/8'], ['10.0.0.0/24']],
    ['0.0.0.0/0', ['128.0.0.0/1'], ['0.0.0.0/1']],
    ['fd00::/126', ['fd00::2/127'], ['fd00::/127']],
    ['fd00:0:0:1::/64', ['fd00:0:0:1:8000::/65'], ['fd00:0:0:1::/65']],
    ['nonsense', [], []],
  ])('%s without %j', (cidr, except, expected) => {
    expect(subtractCidrs(cidr, except)).toEqual(expected);
  });

  it('holds an address exactly when the whole does and no exception does', () => {
    const byte = fc.integer({ min: 0, max: 255 });
    const address = fc.tuple(byte, byte).map(([a, b]) => `10.0.${a}.${b}`);
    const hole = fc.tuple(address, fc.integer({ min: 14, max: 32 })).map(([a, n]) => `${a}/${n}`);
    fc.assert(
      fc.property(fc.array(hole, { maxLength: 5 }), address, (except, ip) => {
        const inside = subtractCidrs('10.0.0.0/17', except).some((cidr) => holds(cidr, ip));
        const excepted = except.some((cidr) => holds(cidr, ip));
        expect(inside).toBe(holds('10.0.0.0/17', ip) && !excepted);
      }),
    );
  });
});

describe('mergeCidrs', () => {
  it('leaves out what lies in another, and sorts', () => {
    const cidrs = ['fd00::1', '10.0.0.9', '10.0.0.0/28', '10.0.0.9', '10.0.1.0/24', 'fd00::/64'];
    expect(mergeCidrs(cidrs)).toEqual(['10.0.0.0/28', '10.0.1.0/24', 'fd00::/64']);
  });
  it('writes addresses as the kernel does', () => {
    expect(mergeCidrs(['::ffff:10.0.0.1', 'FD00:0:0:0:1:0:0:1/128'])).toEqual([
      '::ffff:a00:1',
      'fd00::1:0:0:1',
    ]);
  });
});

function holds(cidr: string, ip: string): boolean {
  return cidrContains(cidr.includes('/') ? cidr : `${cidr}/32`, ip);
}
