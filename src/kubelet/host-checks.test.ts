import { describe, expect, it } from 'vitest';
import { DEFAULTS } from './config.ts';
import { checkHost } from './host-checks.ts';
import { podWith } from './pods.fake.ts';
import { containerResources } from './resources.ts';

const GI = 2 ** 30;

describe('checkHost', () => {
  it.each([
    [{}, { swap: 0, cgroupVersion: 1 } as const, undefined],
    [{}, { swap: GI, cgroupVersion: 2 } as const, /running with swap on is not supported/],
    [{ failSwapOn: false }, { swap: GI, cgroupVersion: 2 } as const, undefined],
    [{ cgroupDriver: 'systemd' }, { swap: 0, cgroupVersion: 2 } as const, undefined],
    [{ cgroupDriver: 'none' }, { swap: 0, cgroupVersion: 2 } as const, /"none" is not supported/],
    [{ failCgroupV1: true }, { swap: 0, cgroupVersion: 1 } as const, /cgroup v1/],
    [
      { memorySwap: { swapBehavior: 'LimitedSwap' } },
      { swap: 0, cgroupVersion: 1 } as const,
      /LimitedSwap needs cgroup v2/,
    ],
    [
      { memorySwap: { swapBehavior: 'UnlimitedSwap' } },
      { swap: 0, cgroupVersion: 2 } as const,
      /"UnlimitedSwap" is not supported/,
    ],
  ])('%j on %j: %s', (change, host, message) => {
    const check = () => checkHost({ ...DEFAULTS, ...change }, host);
    if (message) expect(check).toThrow(message);
    else expect(check).not.toThrow();
  });
});

describe('containerResources', () => {
  const swapOf = (resources: object, { limited = true, priority = 0 } = {}) => {
    const pod = podWith({ priority, containers: [{ name: 'main', resources }] });
    const [container] = pod.spec?.containers ?? [];
    if (!container) throw new Error('no container');
    const swap = { capacity: 4 * GI, limited, cgroupVersion: 2 as const };
    const { unified } = containerResources(pod, container, { capacity: 8 * GI, swap });
    return unified?.['memory.swap.max'];
  };
  const burstable = { requests: { memory: '2Gi' } };

  it('gives a burstable container the share of the swap that it asked of the memory', () => {
    expect(swapOf(burstable)).toBe(String(GI));
  });

  it.each([
    ['a container that asks for nothing', {}, {}],
    [
      'a guaranteed one',
      { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '1', memory: '1Gi' } },
      {},
    ],
    ['a container of a critical pod', burstable, { priority: 2_000_000_000 }],
    ['anybody where swap is not to be used', burstable, { limited: false }],
  ])('gives %s none', (_what, resources, options) => {
    expect(swapOf(resources, options)).toBe('0');
  });
});
