import { describe, expect, it } from 'vitest';
import { whoMounts } from './image-views.ts';

describe('whoMounts', () => {
  it.each([
    ['containerd', '1.6.20~ds1', 'containerd'],
    ['containerd', 'v2.0.4', 'containerd'],
    ['containerd', '2.1.0', 'cri'],
    ['cri-o', '1.31.0', 'cri'],
  ])('%s %s: %s', (runtimeName, runtimeVersion, who) => {
    expect(whoMounts({ runtimeName, runtimeVersion, runtimeApiVersion: 'v1' })).toBe(who);
  });

  it('refuses a runtime without image volumes by name', () => {
    const version = { runtimeName: 'cri-o', runtimeVersion: '1.30.1', runtimeApiVersion: 'v1' };
    expect(() => whoMounts(version)).toThrow('image volumes are not supported by cri-o 1.30.1');
  });
});
