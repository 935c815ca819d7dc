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

  it('takes what kubeadm writes: no time, no text and zero mean the default', async () => {
    const text = `
containerRuntimeEndpoint: ""
cpuManagerReconcilePeriod: 0s
crashLoopBackOff: {}
evictionPressureTransitionPeriod: 0s
fileCheckFrequency: 0s
httpCheckFrequency: 0s
imageMaximumGCAge: 0s
imageMinimumGCAge: 0s
logging: { flushFrequency: 0, options: { json: { infoBufferSize: "0" } }, verbosity: 0 }
memorySwap: {}
nodeStatusReportFrequency: 0s
nodeStatusUpdateFrequency: 0s
runtimeRequestTimeout: 0s
shutdownGracePeriod: 0s
streamingConnectionIdleTimeout: 0s
syncFrequency: 0s
volumeStatsAggPeriod: 0s
authentication: { webhook: { cacheTTL: 0s } }
`;
    expect(await parse(text)).toEqual(DEFAULTS);
  });

  it.each([
    ['', true, Infinity],
    ['serializeImagePulls: false', false, Infinity],
    ['maxParallelImagePulls: 3', false, 3],
    ['maxParallelImagePulls: 1', true, 1],
    ['serializeImagePulls: false\nmaxParallelImagePulls: 2', false, 2],
  ])('pulls images one by one unless told otherwise: %j', async (text, serial, limit) => {
    const config = await parse(text);
    expect([config.serializeImagePulls, config.maxParallelImagePulls]).toEqual([serial, limit]);
  });

  it.each([
    [
      'more than one pull at a time, one after another',
      'serializeImagePulls: true\nmaxParallelImagePulls: 2',
      'line 4: maxParallelImagePulls cannot be larger than 1 unless serializeImagePulls is set to false',
    ],
    [
      'no pulls at all',
      'maxParallelImagePulls: 0',
      'line 3: maxParallelImagePulls must be a positive number',
    ],
    ['an unknown field, with its line', 'maxPods: 7\nmaxPod: 8', 'line 4: unknown field "maxPod"'],
    ['a value of the wrong type', 'maxPods: many', 'line 3: maxPods must be a number'],
    [
      'a processor policy',
      'maxPods: 3\ncpuManagerPolicy: static',
      'line 4: cpuManagerPolicy: "static" is not supported',
    ],
    [
      'feature gates',
      'featureGates: { Some: true }',
      'line 3: featureGates: {"Some":true} is not supported',
    ],
  ])('refuses %s', async (_what, text, message) => {
    await expect(parse(text)).rejects.toThrow(message);
  });
});
