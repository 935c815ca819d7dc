import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { run } from '../src/host/exec.ts';
import { createNetworkNamespace } from '../test/support/network-namespace.ts';
import type { MemoryFigures } from './support/proxy-memory-worker.ts';

/**
 * Resident memory of a kube-proxy with 10,000 Services of 5 endpoints each, beside a Node process that does nothing.
 * `npm run bench -- proxy-memory [MODE…]`; SERVICES=10000.
 */
const AT_MOST_MB = 200;
const given = process.argv.slice(2);
const ipvs = existsSync('/proc/net/ip_vs') ? ['ipvs'] : [];
const modes = given.length > 0 ? given : ['iptables', 'nftables', ...ipvs];
const services = process.env.SERVICES ?? '10000';
const worker = fileURLToPath(new URL('support/proxy-memory-worker.ts', import.meta.url));

const { stdout } = await run(process.execPath, ['-p', 'process.memoryUsage().rss / 2 ** 20']);
console.log(
  `bare process ${Number(stdout).toFixed(0)} MB; with ${services} Services at most ${AT_MOST_MB} MB`,
);
for (const mode of modes) {
  const network = await createNetworkNamespace();
  try {
    const { stdout: text } = await network.run(process.execPath, [worker, mode, services]);
    const { synced, changed, peak } = JSON.parse(text) as MemoryFigures;
    const [a, b, c] = [synced, changed, peak].map((value) => value.toFixed(0).padStart(5));
    console.log(`${mode.padEnd(10)} synced ${a} MB   after 50 changes ${b} MB   peak ${c} MB`);
  } finally {
    await network.remove();
  }
}
