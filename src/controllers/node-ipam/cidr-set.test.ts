import { describe, expect, it } from 'vitest';
import { CidrSet } from './cidr-set.ts';

describe('CidrSet', () => {
  it('hands out each part once, skips those in use, and takes parts back', () => {
    const set = new CidrSet('10.0.0.0/22', 24);
    set.occupy('10.0.1.0/24');
    set.occupy('192.168.0.0/24');
    const taken = [set.take(), set.take(), set.take(), set.take()];
    expect(taken).toEqual(['10.0.0.0/24', '10.0.2.0/24', '10.0.3.0/24', undefined]);
    set.release('10.0.2.0/24');
    expect(set.take()).toBe('10.0.2.0/24');
  });

  it('cuts IPv6 networks', () => {
    const set = new CidrSet('fd00:10:244::/56', 64);
    expect([set.take(), set.take()]).toEqual(['fd00:10:244::/64', 'fd00:10:244:1::/64']);
  });

  it.each(['10.0.0.0/25', 'x/8', '10.0.0.0'])('refuses %s', (cidr) => {
    expect(() => new CidrSet(cidr, 24)).toThrow(RangeError);
  });
});
