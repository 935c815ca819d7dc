import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createNetworkNamespace } from '../test/support/network-namespace.ts';
import type { SyncFigures } from './support/proxy-sync-worker.ts';

/**
 * How long a proxy mode takes for a first sync and for one endpoint's change, beside the kernel's tool alone, fed with the same
 * rules. `npm run bench -- proxy-sync [MODE…]`; SERVICES=1000,5000,10000. IPVS needs a kernel that has it.
 */
const LIMITS: Readonly<Record<string, number>> = { iptables: 300, nftables: 100, ipvs: 100 };
const hasIpvs = existsSync('/proc/net/ip_vs');
const given = process.argv.slice(2);
const modes =
  given.length > 0 ? given : ['iptables', 'nftables', 'userspace', ...(hasIpvs ? ['ipvs'] : [])];
const sizes = (process.env.SERVICES ?? '1000,5000,10000').split(',');
const worker = fileURLToPath(new URL('support/proxy-sync-worker.ts', import.meta.url));

console.log(
  'milliseconds         first sync  tool alone ratio  one change  tool alone ratio  own CPU  check',
);
for (const mode of modes) {
  for (const size of sizes) {
    const network = await createNetworkNamespace();
    try {
      const { stdout } = await network.run(process.execPath, [worker, mode, size]);
      print(mode, size, JSON.parse(stdout) as SyncFigures);
    } finally {
      await network.remove();
    }
  }
}

function print(mode: string, size: string, figures: SyncFigures): void {
  const { first, floorFirst, change, floorChange, changeCpu, check } = figures;
  const limit = LIMITS[mode];
  const cells = [
    mode.padEnd(10),
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
