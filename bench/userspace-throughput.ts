import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { eventually } from '../test/support/network/answers.ts';
import { NamespaceProcess } from '../test/support/network/namespace-process.ts';
import { ADDRESSES, NetworkWorld } from '../test/support/network/network-world.ts';
import { service, slice } from '../test/support/network/service-objects.ts';

/** Bytes per second from a Pod to a Pod of the same node: directly, by iptables, and through the userspace relay. */
const SECONDS = 3;
const execute = promisify(execFile);
const bulk = fileURLToPath(new URL('support/bulk.ts', import.meta.url));
const world = new NetworkWorld();
try {
  await world.start();
  const server = new NamespaceProcess(world.ns('pod1'), bulk.slice(0, -'.ts'.length), [
    'serve',
    '9000',
  ]);
  await server.whenReady();
  const direct = await throughput(ADDRESSES.pod1.ip, 9000);
  print('direct', direct, direct);
  for (const mode of ['iptables', 'userspace']) {
    await world.startProxy(mode);
    const ports = [{ name: 'p', port: 80, protocol: 'TCP' }];
    const endpoints = {
      ...slice('bulk', ['pod1']),
      ports: [{ name: 'p', port: 9000, protocol: 'TCP' }],
    };
    await world.apply(service('bulk', '10.96.0.10', { ports }), endpoints);
    await eventually(async () => void (await throughput('10.96.0.10', 80, 0.1)));
    print(mode, await throughput('10.96.0.10', 80), direct);
    await world.cleanup();
  }
  await server.stop('SIGKILL');
} finally {
  await world.stop();
}

async function throughput(host: string, port: number, seconds = SECONDS): Promise<number> {
  const namespace = `--net=/run/netns/${world.ns('pod2')}`;
  const args = [namespace, process.execPath, bulk, 'take', host, String(port), String(seconds)];
  return Number((await execute('nsenter', args)).stdout);
}

function print(name: string, rate: number, direct: number): void {
  const ratio = (rate / direct).toFixed(2);
  console.log(
    `${name.padEnd(10)} ${(rate / 1e6).toFixed(0).padStart(6)} MB/s   ${ratio} of direct`,
  );
}
