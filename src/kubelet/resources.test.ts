import { describe, expect, it } from 'vitest';
import type { Container, Pod } from '../api/types.ts';
import { podWith } from './pods.fake.ts';
import { containerResources, podResources } from './resources.ts';

const GIB = 2 ** 30;
const MEMORY = {
  capacity: 8 * GIB,
  swap: { capacity: 0, limited: false, cgroupVersion: 2 as const },
};
const container = (name: string, resources: Container['resources'] = {}): Container => ({
  name,
  resources,
});
const given = (pod: Pod, index = 0) =>
  containerResources(pod, pod.spec?.containers[index] as Container, MEMORY);

describe('containerResources', () => {
  it('bounds a container without limits by those of its pod', () => {
    const limits = { cpu: '2', memory: '1Gi' };
    const pod = podWith({
      resources: { limits, requests: { cpu: '1', memory: '1Gi' } },
      containers: [container('free'), container('bound', { limits: { cpu: '500m' } })],
    });
    expect(given(pod)).toMatchObject({ cpuQuota: 200_000, memoryLimitInBytes: GIB });
    expect(given(pod, 1)).toMatchObject({ cpuQuota: 50_000, memoryLimitInBytes: GIB });
    expect(podResources(pod)).toEqual({
      ...{ cpuShares: 1024, cpuQuota: 200_000 },
      memoryLimit: GIB,
    });
  });

  it('parts what a pod asks for beyond its containers among them, as the kernel picks whom to kill', () => {
    const asks = (memory: string): Container['resources'] => ({ requests: { memory } });
    const containers = [container('a', asks('1Gi')), container('b')];
    const alone = podWith({ containers });
    const whole = podWith({ containers, resources: { requests: { memory: '3Gi' } } });
    expect([given(alone).oomScoreAdj, given(alone, 1).oomScoreAdj]).toEqual([875, 999]);
    expect([given(whole).oomScoreAdj, given(whole, 1).oomScoreAdj]).toEqual([750, 875]);
  });
});
