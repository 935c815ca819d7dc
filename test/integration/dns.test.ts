import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import dnsPacket from 'dns-packet';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';

const NAME = 'web.default.svc.cluster.local';
const CLUSTER_IP = '10.96.0.5';
const directory = mkdtempSync(join(tmpdir(), 'k8ts-dns-'));
let api: TestApiServer;
let gate: Server;
let openGate: () => void;
let dns: ChildProcess;
const ports = { port: 0, health: 0, ready: 0, metrics: 0 };

beforeAll(async () => {
  api = await startApiServer();
  const spec = { clusterIP: CLUSTER_IP, ports: [{ name: 'http', port: 80 }] };
  const body = { metadata: { name: 'web' }, spec };
  const made = await api.request('POST', '/api/v1/namespaces/default/services', { body });
  expect(made.status, made.text).toBe(201);
  await startGate();
  for (const name of Object.keys(ports)) ports[name as keyof typeof ports] = await freePort();
  const kubeconfig = join(directory, 'kubeconfig');
  const { port } = gate.address() as AddressInfo;
  const text = readFileSync(api.kubeconfig, 'utf8').replace(api.url, `https://127.0.0.1:${port}`);
  writeFileSync(kubeconfig, text);
  const flags = {
    kubeconfig,
    'bind-address': '127.0.0.1',
    port: ports.port,
    'health-port': ports.health,
    'ready-port': ports.ready,
    'metrics-port': ports.metrics,
    upstream: '192.0.2.53',
    lameduck: 3, // Time for a question on a busy machine, too.
  };
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  dns = spawn(process.execPath, ['src/cli/cli.ts', 'dns', ...args], { stdio: 'ignore' });
});
afterAll(async () => {
  dns?.kill('SIGKILL');
  gate?.close();
  await api.stop();
  rmSync(directory, { recursive: true });
});

/** A way to the API server on which nothing moves until it is opened. */
async function startGate(): Promise<void> {
  const opened = Promise.withResolvers<void>();
  openGate = opened.resolve;
  gate = createServer(async (socket) => {
    socket.on('error', () => {});
    await opened.promise;
    const server = connect(Number(new URL(api.url).port), '127.0.0.1');
    server.on('error', () => socket.destroy());
    socket.on('close', () => server.destroy());
    socket.pipe(server).pipe(socket);
  });
  gate.listen(0, '127.0.0.1');
  await once(gate, 'listening');
}

async function page(name: 'health' | 'ready' | 'metrics'): Promise<{ code: number; text: string }> {
  const answer = await fetch(`http://127.0.0.1:${ports[name]}/${name}`);
  return { code: answer.status, text: await answer.text() };
}

/** The address of a name; undefined: no answer in time. */
function resolve(name: string, waitMs = 30_000): Promise<unknown> {
  const socket = createSocket('udp4');
  return new Promise((done) => {
    const end = (answer?: Buffer) => {
      clearTimeout(timer);
      socket.close();
      const [record] = answer ? (dnsPacket.decode(answer).answers ?? []) : [];
      done(record && 'data' in record ? record.data : undefined);
    };
    const timer = setTimeout(end, waitMs);
    socket.on('message', (message) => end(message));
    const query = dnsPacket.encode({ type: 'query', id: 1, questions: [{ type: 'A', name }] });
    socket.send(query, ports.port, '127.0.0.1');
  });
}

it('is not ready, and takes no question, before it knows all Services', async () => {
  await eventually('it lives', async () => (await page('health')).code === 200);
  expect((await page('ready')).code).toBe(503);
  expect(await resolve(NAME, 500)).toBeUndefined();
  openGate();
  await eventually('it is ready', async () => (await page('ready')).code === 200);
  expect(await resolve(NAME)).toBe(CLUSTER_IP);
});

it('counts under the names of CoreDNS', async () => {
  const { text } = await page('metrics');
  expect(text).toMatch(/^coredns_dns_requests_total\{proto="udp",type="A"\} \d+$/m);
  expect(text).toMatch(/^coredns_dns_responses_total\{rcode="NOERROR"\} \d+$/m);
  expect(text).toMatch(/^coredns_dns_request_duration_seconds_count \d+$/m);
});

it('answers on for a moment when it is asked to end, and is not ready any more', async () => {
  const exited = once(dns, 'exit');
  dns.kill('SIGTERM');
  await eventually('it says so', async () => (await page('ready')).code === 503);
  expect(await resolve(NAME)).toBe(CLUSTER_IP);
  expect(await exited).toEqual([0, null]);
});
