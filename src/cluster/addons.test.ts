import { describe, expect, it } from 'vitest';
import { addonNames, addonObjects, fillIn, unknownPart } from './addons.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

const settings = { ...DEFAULT_SETTINGS, nodeName: 'a', nodeIp: '192.0.2.1' };

describe('fillIn', () => {
  it("puts the cluster's settings in place of their names", () => {
    const chosen = { ...settings, dnsIp: '10.1.0.10', domain: 'example.org' };
    expect(fillIn('ip: $DNS_IP\nargs: [--zone=$DNS_DOMAIN]', chosen)).toBe(
      'ip: 10.1.0.10\nargs: [--zone=example.org]',
    );
  });
  it('refuses a name that is not known', () => {
    expect(() => fillIn('$NOBODY', settings)).toThrow('asks for $NOBODY');
  });
});

describe('unknownPart', () => {
  it('names what is wrong and what there is', () => {
    expect(unknownPart(['dns'])).toBeUndefined();
    expect(unknownPart(['dns', 'nds'])).toMatch(
      /no nds to leave out; there are: .*dns.*network-policy/,
    );
  });
});

describe('addonObjects', () => {
  it.each(addonNames())('reads every object of %s', async (name) => {
    const objects = await addonObjects(name, settings);
    for (const { apiVersion, kind, metadata } of objects) {
      expect([apiVersion, kind, metadata.name]).not.toContain(undefined);
    }
    expect(objects.length).toBeGreaterThan(0);
  });
});
