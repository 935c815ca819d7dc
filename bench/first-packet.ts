import { eventually } from '../test/support/network/answers.ts';
import {
  ADDRESSES,
  type Answer,
  NetworkWorld,
  TIMEOUT_MS,
} from '../test/support/network/network-world.ts';
import { service, slice } from '../test/support/network/service-objects.ts';
import { inVirtualMachine, needsMachine } from './support/in-virtual-machine.ts';
import { benchService, benchSlice } from './support/many-services.ts';

/**
 * How long a new connection takes until its first byte, from a Pod to the last of many Services, beside one to a Pod: both in
 * turn. `npm run bench -- first-packet [MODE…]`; SERVICES=1,1000,10000. Where the kernel lacks IPVS (and for all modes with
 * VM=1) in an emulated machine, ten times slower.
 */
const ROUNDS = 300;
const given = process.argv.slice(2);
const modes = given.length > 0 ? given : ['iptables', 'nftables', 'userspace', 'ipvs'];
const SERVICES = process.env.SERVICES ?? '1,1000,10000';
const sizes = SERVICES.split(',').map(Number);

console.log('median microseconds   through the Service   direct   difference');
for (const mode of modes) {
  if (needsMachine(mode)) await measureInMachine(mode);
  else for (const size of sizes) await measure(mode, size);
}

/** This program itself, bundled. */
async function measureInMachine(mode: string): Promise<void> {
  const job = { program: 'bench/first-packet.ts', args: [mode], env: { SERVICES } };
  const lines = await inVirtualMachine({ ...job, megabytes: 2048 });
  for (const line of lines) if (line.startsWith(`${mode} `)) console.log(`${line}   (emulated)`);
}

async function measure(mode: string, size: number): Promise<void> {
  const world = new NetworkWorld();
  try {
    await world.start();
    const others = Array.from({ length: size - 1 }, (_, i) => [benchService(i), benchSlice(i)]);
    const last = [service('last', '10.96.0.10'), slice('last', ['pod1'])];
    await world.startProxy(mode, { objects: [...others.flat(), ...last] });
    // Asked from elsewhere: what is sent before the rules are there stays untranslated in the connection tracker for two
    // minutes, and would meet a later connection from the same port.
    await eventually(async () => {
      const [answer] = await world.tcp('client', '10.96.0.10', 80);
      if (answer?.name !== 'pod1') throw new Error(`${mode}: ${JSON.stringify(answer)}`);
    }, 300_000);
    // Directly to another Pod than the one behind the Service. IPVS takes no other source port where two connections of a
    // client come to one endpoint from the same: the connection tracker drops the later one for as long as it remembers.
    const through: number[] = [];
    const direct: number[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      through.push(await latency(world, '10.96.0.10', 80));
      direct.push(await latency(world, ADDRESSES.pod3.ip, 8080));
    }
    const [a, b] = [median(through), median(direct)];
    const cells = [a, b, a - b].map((value) => value.toFixed(0).padStart(12));
    console.log(`${mode.padEnd(10)} ${String(size).padStart(6)} ${cells.join(' ')}`);
  } finally {
    await world.stop();
  }
}

async function latency(world: NetworkWorld, host: string, port: number): Promise<number> {
  const timeoutMs = 12 * TIMEOUT_MS;
  const [answer] = await world.probe<Answer[]>('pod2', { op: 'tcp', host, port, timeoutMs });
  if (answer?.microseconds === undefined) throw new Error(`No answer: ${JSON.stringify(answer)}`);
  return answer.microseconds;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
