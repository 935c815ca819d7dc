import { describe, expect, it } from 'vitest';
import { DEFAULTS } from '../config.ts';
import { diskSignals, type Left, thresholdsMet, thresholdsOf } from './signals.ts';

const GI = 2 ** 30;
const roomy: [string, Left][] = [
  ['memory.available', { available: 4 * GI, total: 8 * GI }],
  ['nodefs.available', { available: 50 * GI, total: 100 * GI }],
  ['nodefs.inodesFree', { available: 500, total: 1000 }],
  ['pid.available', { available: 30_000, total: 32_768 }],
];
const met = (config: object, ...change: [string, Left][]): string[] =>
  thresholdsMet(thresholdsOf({ ...DEFAULTS, ...config }), new Map([...roomy, ...change])).map(
    (t) => t.signal,
  );

describe('thresholdsMet', () => {
  it('finds none on a node with room', () => {
    expect(met({})).toEqual([]);
  });

  it.each<[string, Left]>([
    ['memory.available', { available: 90 * 2 ** 20, total: 8 * GI }],
    ['nodefs.available', { available: 9 * GI, total: 100 * GI }],
    ['nodefs.inodesFree', { available: 49, total: 1000 }],
  ])('finds %s below its threshold', (signal, left) => {
    expect(met({}, [signal, left])).toEqual([signal]);
  });

  it('has no threshold for processes by default, and takes one', () => {
    const few: [string, Left] = ['pid.available', { available: 10, total: 32_768 }];
    expect(met({}, few)).toEqual([]);
    expect(met({ evictionHard: { 'pid.available': '10%' } }, few)).toEqual(['pid.available']);
  });

  it('asks for more than the threshold while something is to be won back', () => {
    const thresholds = thresholdsOf({ ...DEFAULTS, evictionHard: { 'memory.available': '1Gi' } });
    const signals = new Map([['memory.available', { available: 1.2 * GI, total: 8 * GI }]]);
    expect(thresholdsMet(thresholds, signals)).toEqual([]);
    expect(thresholdsMet(thresholds, signals, { 'memory.available': '500Mi' })).toHaveLength(1);
  });
});

describe('thresholdsOf', () => {
  it('has pods keep as far from their own bound as from that of the machine', () => {
    const hard = { evictionHard: { 'memory.available': '1Gi' } };
    const signals = new Map([
      ['allocatableMemory.available', { available: GI / 2, total: 2 * GI }],
    ]);
    const crossed = (change: object) =>
      thresholdsMet(thresholdsOf({ ...DEFAULTS, ...hard, ...change }), signals);
    expect(crossed({})).toMatchObject([{ signal: 'allocatableMemory.available', value: '1Gi' }]);
    expect(crossed({ enforceNodeAllocatable: ['none'] })).toEqual([]);
  });

  it('refuses signals that do not exist and soft thresholds without a grace period', () => {
    expect(() => thresholdsOf({ ...DEFAULTS, evictionHard: { 'memory.free': '1Gi' } })).toThrow(
      'unsupported eviction signal memory.free',
    );
    expect(() =>
      thresholdsOf({ ...DEFAULTS, evictionSoft: { 'memory.available': '1Gi' } }),
    ).toThrow('grace period must be specified for the soft eviction threshold memory.available');
  });
});

describe('diskSignals', () => {
  it('has none for inodes on a file system that does not count them', () => {
    const disk = { capacityBytes: 9, availableBytes: 1, usedBytes: 8, inodes: 0, inodesFree: 0 };
    expect(diskSignals('nodefs', disk)).toEqual([['nodefs.available', { available: 1, total: 9 }]]);
  });
});
