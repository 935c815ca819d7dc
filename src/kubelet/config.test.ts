import { describe, expect, it } from 'vitest';
import { DEFAULTS, parseConfiguration } from './config.ts';

const HEAD = 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n';
const parse = (text: string) => parseConfiguration(HEAD + text, structuredClone(DEFAULTS));

describe('parseConfiguration', () => {
  it('lays a document over what was there: objects merge, maps of quantities are one value', async () => {
    const config = await parse(`
maxPods: 7
authentication: { anonymous: { enabled: true } }
evictionHard: { memory.available: 1Gi }
`);
    expect(config).toMatchObject({ maxPods: 7, port: 10_250 });
    expect(config.authentication).toMatchObject({
      anonymous: { enabled: true },
      webhook: { enabled: true },
    });
    expect(config.evictionHard).toEqual({ 'memory.available': '1Gi' });
  });

  it.each([
    ['an unknown field, with its line', 'maxPods: 7\nmaxPod: 8', 'line 4: unknown field "maxPod"'],
    ['a value of the wrong type', 'maxPods: many', 'line 3: maxPods must be a number'],
    [
      'the systemd driver',
      'cgroupDriver: systemd',
      'line 3: cgroupDriver: "systemd" is not supported',
    ],
    [
      'swap',
      'memorySwap:\n  swapBehavior: LimitedSwap',
      'line 4: swapBehavior: "LimitedSwap" is not supported',
    ],
    [
      'graceful shutdown',
      'shutdownGracePeriod: 30s',
      'line 3: shutdownGracePeriod: "30s" is not supported',
    ],
  ])('refuses %s', async (_what, text, message) => {
    await expect(parse(text)).rejects.toThrow(message);
  });
});
