import { createNetworkNamespace } from '../test/support/network-namespace.ts';
import type { ChangeFigures } from './support/endpoint-change-worker.ts';
import { percentile } from './support/percentile.ts';

/**
 * How long a change of an endpoint takes from the write to the API server until new connections go to the new endpoint: a real
 * API server, a real kube-proxy, the kernel. Beside its floor: a watcher told, and the kernel's tool run once.
 * `npm run bench -- endpoint-change [MODE…]`; SERVICES=100.
 */
const AT_MOST_MS = 100;
const given = process.argv.slice(2);
const modes = given.length > 0 ? given : ['iptables', 'nftables'];
const services = process.env.SERVICES ?? '100';
const worker = new URL('support/endpoint-change-worker.ts', import.meta.url).pathname;

console.log(
  `milliseconds at ${services} Services     p50    p99    max   (at most ${AT_MOST_MS}, from the write being sent)`,
);
for (const mode of modes) {
  const network = await createNetworkNamespace();
  try {
    const { stdout } = await network.run(process.execPath, [worker, mode, services]);
    const { routed, watched, tool, answered } = JSON.parse(stdout) as ChangeFigures;
    print(`${mode}: routed`, routed);
    print('  the write answered', answered);
    print('  floor: a watcher told', watched);
    print('  floor: the tool alone', tool);
    const floor = percentile(watched, 0.5) + percentile(tool, 0.5);
    console.log(`  ratio to the floors' sum: ${(percentile(routed, 0.5) / floor).toFixed(1)}`);
  } finally {
    await network.remove();
  }
}

function print(what: string, samples: readonly number[]): void {
  const cells = [0.5, 0.99, 1].map((share) => percentile(samples, share).toFixed(1).padStart(6));
  console.log(`${what.padEnd(30)} ${cells.join(' ')}`);
}
