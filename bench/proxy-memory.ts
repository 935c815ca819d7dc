import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { run } from '../src/host/exec.ts';
import { createNetworkNamespace } from '../test/support/network-namespace.ts';
import { inVirtualMachine, needsMachine } from './support/in-virtual-machine.ts';
import { filledApiServer, type MemoryFigures } from './support/proxy-memory.ts';

/**
 * Resident memory of a kube-proxy with 10,000 Services of 5 endpoints each, beside a Node process that does nothing.
 * `npm run bench -- proxy-memory [MODE…]`; SERVICES=10000. Where the kernel lacks IPVS (and for all modes with VM=1) the proxy is
 * in an emulated machine, and the API server in this one.
 */
const AT_MOST_MB = 200;
const given = process.argv.slice(2);
const modes = given.length > 0 ? given : ['iptables', 'nftables', 'ipvs'];
const services = process.env.SERVICES ?? '10000';
const worker = fileURLToPath(new URL('support/proxy-memory-worker.ts', import.meta.url));

const { stdout } = await run(process.execPath, ['-p', 'process.memoryUsage().rss / 2 ** 20']);
console.log(
  `bare process ${Number(stdout).toFixed(0)} MB; with ${services} Services at most ${AT_MOST_MB} MB`,
);
for (const mode of modes) {
  const measured = needsMachine(mode) ? await measureInMachine(mode) : await measure(mode);
  const { synced, changed, peak } = JSON.parse(measured) as MemoryFigures;
  const [a, b, c] = [synced, changed, peak].map((value) => value.toFixed(0).padStart(5));
  console.log(`${mode.padEnd(10)} synced ${a} MB   after 50 changes ${b} MB   peak ${c} MB`);
}

async function measure(mode: string): Promise<string> {
  const network = await createNetworkNamespace();
  try {
    return (await network.run(process.execPath, [worker, mode, services])).stdout;
  } finally {
    await network.remove();
  }
}

async function measureInMachine(mode: string): Promise<string> {
  const server = await filledApiServer(Number(services));
  try {
    const lines = await inVirtualMachine({
      program: 'bench/support/proxy-memory-guest.ts',
      programs: ['src/cli/cli.ts'],
      args: [mode, new URL(server.url).port],
      files: { kubeconfig: await readFile(server.kubeconfig, 'utf8') },
      megabytes: 2048,
      network: true,
    });
    return lines.find((line) => line.startsWith('{"synced"')) ?? lines.join('\n');
  } finally {
    await server.stop();
  }
}
