import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { diskUsage } from './disk-usage.ts';
import { parseMachineUsage } from './machine.ts';
import { parseDeviceCounters } from './network-usage.ts';

describe('diskUsage', () => {
  it('counts blocks below a directory, a file of two names once, and no link target', async () => {
    const top = mkdtempSync(join(tmpdir(), 'du-'));
    mkdirSync(join(top, 'a/b'), { recursive: true });
    writeFileSync(join(top, 'a/b/file'), Buffer.alloc(100_000, 1));
    linkSync(join(top, 'a/b/file'), join(top, 'second-name'));
    symlinkSync('/usr', join(top, 'link'));
    const { bytes, inodes } = await diskUsage(top);
    expect(inodes).toBe(5);
    expect(bytes).toBeGreaterThanOrEqual(100_000);
    expect(bytes).toBeLessThan(200_000);
    rmSync(top, { recursive: true });
    expect(await diskUsage(top)).toEqual({ bytes: 0, inodes: 0 });
  });
});

describe('parseDeviceCounters', () => {
  it('reads every device but the loopback', () => {
    const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0:1476 9 1 2 0 0 0 0 472 5 3 4 0 0 0 0
`;
    expect(parseDeviceCounters(text)).toEqual([
      {
        name: 'eth0',
        ...{ rxBytes: 1476, rxPackets: 9, rxErrors: 1, rxDropped: 2 },
        ...{ txBytes: 472, txPackets: 5, txErrors: 3, txDropped: 4 },
      },
    ]);
  });
});

describe('parseMachineUsage', () => {
  it('does not count idle time and what the file cache could give back', () => {
    const memory = `MemTotal: 1000 kB
MemFree: 400 kB
AnonPages: 200 kB
Inactive(file): 150 kB
SwapTotal: 50 kB
SwapFree: 20 kB
`;
    const usage = parseMachineUsage(
      'cpu  10 1 4 1000 50 0 1 2 0 0\ncpu0 …\n',
      memory,
      'pgfault 7\npgmajfault 3\n',
    );
    expect(usage).toEqual({
      cpuNanoseconds: 18e7,
      memoryUsage: 600 * 1024,
      memoryWorkingSet: 450 * 1024,
      memoryRss: 200 * 1024,
      pageFaults: 7,
      majorPageFaults: 3,
      swapUsage: 30 * 1024,
      swapTotal: 50 * 1024,
    });
  });
});
