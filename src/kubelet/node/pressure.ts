import { parseQuantity, wholeValue } from '../../api/quantity.ts';
import {
  availableMemory,
  type FilesystemFacts,
  filesystemFacts,
  type MachineFacts,
  processCounts,
} from '../../host/machine.ts';
import type { ConditionFacts } from './node-object.ts';
import { thresholdQuantity } from './node-object.ts';

/** What eviction signals are measured against: how much is left of how much. */
export interface Signals {
  readonly memory: Left;
  readonly disk: FilesystemFacts;
  readonly pids: Left;
}

interface Left {
  readonly available: number;
  readonly total: number;
}

export async function readSignals(machine: MachineFacts, rootDir: string): Promise<Signals> {
  const [available, disk, processes] = await Promise.all([
    availableMemory(),
    filesystemFacts(rootDir),
    processCounts(),
  ]);
  return {
    memory: { available, total: machine.memory },
    disk,
    pids: { available: processes.maximum - processes.running, total: processes.maximum },
  };
}

/** Which hard eviction thresholds are crossed. Pure. */
export function pressureOf(
  { memory, disk, pids }: Signals,
  thresholds: Readonly<Record<string, string>>,
): ConditionFacts['pressure'] {
  const crossed = (signal: string, { available, total }: Left): boolean => {
    const threshold = thresholds[signal];
    if (threshold === undefined) return false;
    return available < wholeValue(parseQuantity(thresholdQuantity(threshold, String(total))));
  };
  const bytes = { available: disk.availableBytes, total: disk.capacityBytes };
  const inodes = { available: disk.inodesFree, total: disk.inodes };
  return {
    memory: crossed('memory.available', memory),
    // A file system that makes inodes as it needs them reports none at all.
    disk:
      crossed('nodefs.available', bytes) ||
      (inodes.total > 0 && crossed('nodefs.inodesFree', inodes)),
    pid: crossed('pid.available', pids),
  };
}
