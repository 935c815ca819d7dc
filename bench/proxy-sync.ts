import { fileURLToPath } from 'node:url';
import { createNetworkNamespace } from '../test/support/network-namespace.ts';
import { inVirtualMachine, needsMachine } from './support/in-virtual-machine.ts';
import type { SyncFigures } from './support/proxy-sync-worker.ts';

/**
 * How long a proxy mode takes for a first sync and for one endpoint's change, beside the kernel's tool alone, fed with the same
 * rules. `npm run bench -- proxy-sync [MODE…]`; SERVICES=1000,5000,10000. Where the kernel lacks IPVS (and for all modes with VM=1) in
 * an emulated machine, ten times slower: there the ratios count.
 */
const LIMITS: Readonly<Record<string, number>> = { iptables: 300, nftables: 100, ipvs: 100 };
const given = process.argv.slice(2);
const modes = given.length > 0 ? given : ['iptables', 'nftables', 'userspace', 'ipvs'];
const sizes = (process.env.SERVICES ?? '1000,5000,10000').split(',');
const WORKER = 'bench/support/proxy-sync-worker.ts';
const worker = fileURLToPath(new URL('support/proxy-sync-worker.ts', import.meta.url));

console.log(
  'milliseconds          first sync  tool alone ratio  one change  tool alone ratio  own CPU  check',
);
for (const mode of modes) {
  for (const size of sizes) print(mode, size, await measure(mode, size));
}

async function measure(mode: string, size: string): Promise<SyncFigures> {
  if (needsMachine(mode)) {
    const lines = await inVirtualMachine({ program: WORKER, args: [mode, size], megabytes: 2048 });
    return JSON.parse(lines.find((line) => line.startsWith('{')) ?? '') as SyncFigures;
  }
  const network = await createNetworkNamespace();
  try {
    const { stdout } = await network.run(process.execPath, [worker, mode, size]);
    return JSON.parse(stdout) as SyncFigures;
  } finally {
    await network.remove();
  }
}

function print(mode: string, size: string, figures: SyncFigures): void {
  const { first, floorFirst, change, floorChange, changeCpu, check } = figures;
  const limit = LIMITS[mode];
  const cells = [
    (needsMachine(mode) ? `${mode} VM` : mode).padEnd(11),
    size.padStart(8),
    first.toFixed(0).padStart(12),
    floorFirst.toFixed(0).padStart(11),
    (first / floorFirst).toFixed(1).padStart(6),
    change.toFixed(1).padStart(11),
    floorChange.toFixed(1).padStart(11),
    floorChange < 0.1 ? '     -' : (change / floorChange).toFixed(1).padStart(6),
    changeCpu.toFixed(1).padStart(8),
    check.toFixed(0).padStart(6),
  ];
  console.log(`${cells.join(' ')}${limit ? `   (one change: at most ${limit})` : ''}`);
}
