import { describe, expect, it } from 'vitest';
import { addonNames, addonObjects, unknownPart } from './addons.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

const settings = { ...DEFAULT_SETTINGS, nodeName: 'a', nodeIp: '192.0.2.1' };

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
