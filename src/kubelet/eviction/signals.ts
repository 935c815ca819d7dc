import { parseQuantity, wholeValue } from '../../api/quantity.ts';
import {
  availableMemory,
  type FilesystemFacts,
  filesystemFacts,
  type MachineFacts,
  processCounts,
} from '../../host/machine.ts';
import { type KubeletConfiguration, parseDuration } from '../config.ts';
import { thresholdQuantity } from '../node/node-object.ts';

/** What eviction is decided by: how much is left of how much, by the signal's name. */
export type Signals = ReadonlyMap<string, Left>;

export interface Left {
  readonly available: number;
  readonly total: number;
}

/** A signal below this means pressure: at once, or when it lasts. */
export interface Threshold {
  readonly signal: string;
  /** A quantity or a share of the whole. */
  readonly value: string;
  /** Milliseconds that it must last; 0 for a hard threshold. */
  readonly graceMs: number;
}

export type Resource = 'memory' | 'ephemeral-storage' | 'inodes' | 'pids';
export type Pressure = 'memory' | 'disk' | 'pid';

/** What is short when a signal is low, and which of the node's conditions tells it. */
export const SIGNALS: Readonly<Record<string, { resource: Resource; pressure: Pressure }>> = {
  'memory.available': { resource: 'memory', pressure: 'memory' },
  'allocatableMemory.available': { resource: 'memory', pressure: 'memory' },
  'nodefs.available': { resource: 'ephemeral-storage', pressure: 'disk' },
  'nodefs.inodesFree': { resource: 'inodes', pressure: 'disk' },
  'imagefs.available': { resource: 'ephemeral-storage', pressure: 'disk' },
  'imagefs.inodesFree': { resource: 'inodes', pressure: 'disk' },
  'pid.available': { resource: 'pids', pressure: 'pid' },
};

/** Memory is fought for first: a node without it can do nothing else. */
export const SIGNAL_ORDER = Object.keys(SIGNALS);

type EvictionConfiguration = Pick<
  KubeletConfiguration,
  'evictionHard' | 'evictionSoft' | 'evictionSoftGracePeriod' | 'enforceNodeAllocatable'
>;

/** The configuration's thresholds, hard ones first. Throws for signals that do not exist and soft ones without grace. */
export function thresholdsOf(config: EvictionConfiguration): Threshold[] {
  const hard = Object.entries(hardThresholds(config));
  const soft = Object.entries(config.evictionSoft);
  for (const [signal] of [...hard, ...soft]) {
    if (!SIGNALS[signal]) throw new Error(`unsupported eviction signal ${signal}`);
  }
  return [
    ...hard.map(([signal, value]) => ({ signal, value, graceMs: 0 })),
    ...soft.map(([signal, value]) => {
      const grace = config.evictionSoftGracePeriod[signal];
      if (grace === undefined) {
        throw new Error(`grace period must be specified for the soft eviction threshold ${signal}`);
      }
      return { signal, value, graceMs: parseDuration(grace) };
    }),
  ].filter(({ value }) => value !== '0%' && value !== '100%');
}

/** Where Pods have a bound of their own, they must not come as near to it as to that of the machine. */
function hardThresholds({ evictionHard, enforceNodeAllocatable }: EvictionConfiguration) {
  const memory = evictionHard['memory.available'];
  if (memory === undefined || !enforceNodeAllocatable.includes('pods')) return evictionHard;
  return { ...evictionHard, 'allocatableMemory.available': memory };
}

export async function readSignals(
  { machine, podsMemory }: { machine: MachineFacts; podsMemory(): Promise<Left | undefined> },
  rootDir: string,
  imageDir: string | undefined,
): Promise<Signals> {
  const [available, pods, disk, images, processes] = await Promise.all([
    availableMemory(),
    podsMemory(),
    filesystemFacts(rootDir),
    filesystemFacts(imageDir ?? rootDir),
    processCounts(),
  ]);
  const signals = new Map<string, Left>([
    ['memory.available', { available, total: machine.memory }],
    ...(pods ? [['allocatableMemory.available', pods] as [string, Left]] : []),
    ...diskSignals('nodefs', disk),
    ...diskSignals('imagefs', images),
  ]);
  const pids = { available: processes.maximum - processes.running, total: processes.maximum };
  return signals.set('pid.available', pids);
}

export function diskSignals(name: string, disk: FilesystemFacts): [string, Left][] {
  const bytes = { available: disk.availableBytes, total: disk.capacityBytes };
  const inodes = { available: disk.inodesFree, total: disk.inodes };
  return [
    [`${name}.available`, bytes],
    // A file system that makes inodes as it needs them reports none at all.
    ...(inodes.total > 0 ? [[`${name}.inodesFree`, inodes] as [string, Left]] : []),
  ];
}

/** The bytes (or numbers) that a threshold stands for. */
export function thresholdValue({ value }: Threshold, total: number): number {
  return wholeValue(parseQuantity(thresholdQuantity(value, String(total))));
}

/** The thresholds that are crossed; `reclaim` raises them by what is to be won back once pressure is there. Pure. */
export function thresholdsMet(
  thresholds: readonly Threshold[],
  signals: Signals,
  reclaim: Readonly<Record<string, string>> = {},
): Threshold[] {
  return thresholds.filter((threshold) => {
    const left = signals.get(threshold.signal);
    if (!left) return false;
    const extra = reclaim[threshold.signal.replace(/^allocatableMemory/, 'memory')];
    const more = extra ? thresholdValue({ ...threshold, value: extra }, left.total) : 0;
    return left.available < thresholdValue(threshold, left.total) + more;
  });
}
