import { describe, expect, it } from 'vitest';
import { FakeEvents } from '../../client/events.fake.ts';
import { DEFAULTS, type KubeletConfiguration } from '../config.ts';
import { enforceAllocatable } from './enforce-allocatable.ts';

const GIB = 1024 ** 3;
const machine = { cpus: 4, memory: 8 * GIB };

/** What the group of all pods is given, and what is told of it; `limit` is the smallest bound of memory it takes. */
async function enforced(change: Partial<KubeletConfiguration>, limit = 0) {
  const set: { cpuShares: number; memoryLimit: number }[] = [];
  const groups = {
    ensureTop: async (limits: { cpuShares: number; memoryLimit: number }) => {
      set.push(limits);
      if (limits.memoryLimit > 0 && limits.memoryLimit < limit) throw new Error('busy');
    },
  };
  const recorder = new FakeEvents();
  const config = { ...DEFAULTS, ...change };
  await enforceAllocatable({ groups, recorder, machine, config, nodeName: 'n' });
  return { set, told: recorder.lines };
}

describe('enforceAllocatable', () => {
  it('leaves to pods what is not reserved, the margin of evictions too', async () => {
    const change = {
      kubeReserved: { cpu: '500m', memory: '1Gi' },
      systemReserved: { cpu: '500m', memory: '512Mi' },
      evictionHard: { 'memory.available': '1Gi' },
    };
    expect(await enforced(change)).toEqual({
      set: [{ cpuShares: 3072, memoryLimit: 6.5 * GIB }],
      told: ['Normal NodeAllocatableEnforced n: Updated Node Allocatable limit across pods'],
    });
    expect((await enforced({})).set).toEqual([{ cpuShares: 4096, memoryLimit: 8 * GIB }]);
  });

  it.each([[['none']], [[]]])('sets no bound where %j shall have one', async (which) => {
    expect(await enforced({ enforceNodeAllocatable: which })).toEqual({
      set: [{ cpuShares: 4096, memoryLimit: 0 }],
      told: [],
    });
  });

  it('lets pods go on that have more, and says so', async () => {
    const { set, told } = await enforced({ kubeReserved: { memory: '7Gi' } }, 2 * GIB);
    expect(set.at(-1)).toEqual({ cpuShares: 4096, memoryLimit: 0 });
    expect(told).toEqual([
      'Warning FailedNodeAllocatableEnforcement n: Failed to update Node Allocatable Limits: busy',
    ]);
  });
});
