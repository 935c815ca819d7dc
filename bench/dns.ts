import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ENDPOINT_SLICES, SERVICES } from '../src/api/resource-types.ts';
import type { EndpointSlice, Service } from '../src/api/types.ts';
import { createClient } from '../src/client/rest-client.ts';
import { startApiServer } from '../test/support/api-server.ts';

/**
 * `k8ts dns` with 1,000 Services, asked for names of the cluster by one client process with 32 questions under way; beside
 * its floor, a Node.js process that sends each datagram back.
 */
const SERVICES_COUNT = 1_000;
const SECONDS = 5;
const IN_FLIGHT = 32;
const SUPPORT = join(import.meta.dirname, 'support');
const NODE_OPTIONS = ['--disable-warning=ExperimentalWarning'];

interface Result {
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  readonly lost: number;
  readonly wrong: number;
}

const api = await startApiServer();
const children: ChildProcess[] = [];
try {
  const names = await seed();
  const [echoPort, port] = [await freePort(), await freePort()];
  await serve([join(SUPPORT, 'udp-echo.ts'), String(echoPort)]);
  const floor = await load(echoPort, names);
  const flags = ['--bind-address=127.0.0.1', `--port=${port}`, '--upstream=192.0.2.53'];
  for (const page of ['health', 'ready', 'metrics'])
    flags.push(`--${page}-port=${await freePort()}`);
  const server = await serve(['src/cli/cli.ts', 'dns', `--kubeconfig=${api.kubeconfig}`, ...flags]);
  await load(port, names, 1); // Compiles what is hot.
  const before = cpuSeconds(server);
  const dns = await load(port, names);
  const cpu = (cpuSeconds(server) - before) / (dns.rate * SECONDS);
  print('k8ts dns', dns, '(at least 15,000/s, p99 at most 5 ms)');
  print('floor: echo', floor, `ratio ${(dns.rate / floor.rate).toFixed(2)}`);
  console.log(`CPU a question   ${(cpu * 1e6).toFixed(1)} µs`);
} finally {
  for (const child of children) child.kill();
  await api.stop();
}

function print(what: string, { rate, p50, p99, lost, wrong }: Result, note: string): void {
  const figures = `p50 ${p50.toFixed(2)} ms  p99 ${p99.toFixed(2)} ms  lost ${lost}  wrong ${wrong}`;
  console.log(`${what.padEnd(12)} ${rate.toFixed(0).padStart(7)}/s  ${figures}  ${note}`);
}

/** Half of the Services have a ClusterIP, half of them are headless with three endpoints. Answers their names. */
async function seed(): Promise<string[]> {
  const client = await createClient(api.kubeconfig);
  const one = async (index: number): Promise<string> => {
    const name = `service-${index}`;
    const headless = index % 2 === 1;
    const metadata = { name, namespace: 'default' };
    const ports = [{ name: 'http', port: 80, protocol: 'TCP' }];
    const spec = headless ? { clusterIP: 'None', ports } : { ports };
    await client.create(SERVICES, { metadata, spec } as unknown as Service);
    const labels = { 'kubernetes.io/service-name': name };
    const endpoints = [1, 2, 3].map((part) => ({
      addresses: [`10.${part}.${index >> 8}.${index & 255}`],
      conditions: { ready: true },
    }));
    const slice = { metadata: { ...metadata, labels }, addressType: 'IPv4', ports, endpoints };
    await client.create(ENDPOINT_SLICES, slice as unknown as EndpointSlice);
    return `${name}.default.svc.cluster.local`;
  };
  const names: string[] = [];
  for (let index = 0; index < SERVICES_COUNT; index++) names.push(await one(index));
  client.close();
  return names;
}

/** Starts a Node.js process and waits until it says that it serves. */
async function serve(args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, [...NODE_OPTIONS, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (text) => String(text).includes('Serving') && resolve());
    }
    child.once('exit', (code) => reject(new Error(`${args[0]} ended with ${code}`)));
  });
  return child;
}

async function load(port: number, names: readonly string[], seconds = SECONDS): Promise<Result> {
  const args = [port, seconds, IN_FLIGHT, ...names].map(String);
  const program = [...NODE_OPTIONS, join(SUPPORT, 'dns-load.ts'), ...args];
  const { stdout } = await promisify(execFile)(process.execPath, program);
  return JSON.parse(stdout) as Result;
}

function cpuSeconds({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1', () => {
      const { port } = socket.address();
      socket.close(() => resolve(port));
    });
  });
}
