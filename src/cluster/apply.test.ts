import { describe, expect, it } from 'vitest';
import { fillIn } from './apply.ts';

describe('fillIn', () => {
  it('puts values in place of their names', () => {
    const values = { DNS_IP: '10.1.0.10', DNS_DOMAIN: 'example.org' };
    expect(fillIn('ip: $DNS_IP\nargs: [--zone=$DNS_DOMAIN]', values)).toBe(
      'ip: 10.1.0.10\nargs: [--zone=example.org]',
    );
  });
  it('refuses a name that is not known', () => {
    expect(() => fillIn('$NOBODY', {})).toThrow('asks for $NOBODY');
  });
});
