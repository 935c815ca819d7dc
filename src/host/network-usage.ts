import { readFile } from 'node:fs/promises';

/** Counters of one network device since it came up. */
export interface DeviceCounters {
  readonly name: string;
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

/** Devices of the network that a process sees, loopback left out; empty when the process is gone. */
export async function deviceCounters(pid: number | 'self'): Promise<DeviceCounters[]> {
  try {
    return parseDeviceCounters(await readFile(`/proc/${pid}/net/dev`, 'utf8'));
  } catch {
    return [];
  }
}

/** Reads /proc/net/dev: two lines of heading, then `NAME: 8 numbers received, 8 sent`. */
export function parseDeviceCounters(text: string): DeviceCounters[] {
  return text
    .split('\n')
    .slice(2)
    .map((line) => /^\s*([^:\s]+):\s*(.*)$/.exec(line))
    .filter((found) => found !== null)
    .filter(([, name]) => name !== 'lo')
    .map(([, name = '', numbers = '']) => {
      const n = numbers.trim().split(/\s+/).map(Number);
      const at = (index: number): number => n[index] ?? 0;
      return {
        name,
        rxBytes: at(0),
        rxPackets: at(1),
        rxErrors: at(2),
        rxDropped: at(3),
        txBytes: at(8),
        txPackets: at(9),
        txErrors: at(10),
        txDropped: at(11),
      };
    });
}
