import { describe, expect, it } from 'vitest';
import { DEFAULTS } from '../config.ts';
import { pressureOf, type Signals } from './pressure.ts';

const GI = 2 ** 30;
const roomy: Signals = {
  memory: { available: 4 * GI, total: 8 * GI },
  disk: {
    usedBytes: 0,
    availableBytes: 50 * GI,
    capacityBytes: 100 * GI,
    inodes: 1000,
    inodesFree: 500,
  },
  pids: { available: 30_000, total: 32_768 },
};

describe('pressureOf', () => {
  it('finds none on a node with room', () => {
    expect(pressureOf(roomy, DEFAULTS.evictionHard)).toEqual({
      memory: false,
      disk: false,
      pid: false,
    });
  });

  it.each([
    ['memory', { memory: { available: 90 * 2 ** 20, total: 8 * GI } }],
    ['disk', { disk: { ...roomy.disk, availableBytes: 9 * GI } }],
    ['disk', { disk: { ...roomy.disk, inodesFree: 49 } }],
  ])('finds pressure of %s below its threshold', (kind, change) => {
    expect(pressureOf({ ...roomy, ...change }, DEFAULTS.evictionHard)).toMatchObject({
      [kind]: true,
    });
  });

  it('asks nothing of inodes where the file system counts none', () => {
    const disk = { ...roomy.disk, inodes: 0, inodesFree: 0 };
    expect(pressureOf({ ...roomy, disk }, DEFAULTS.evictionHard).disk).toBe(false);
  });

  it('looks at processes when a threshold is set', () => {
    const pids = { available: 5, total: 100 };
    expect(pressureOf({ ...roomy, pids }, { 'pid.available': '10%' }).pid).toBe(true);
  });
});
