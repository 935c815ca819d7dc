// `proxy-memory-worker.ts MODE SERVICES` in a network namespace of its own: an API server with that many Services, and a
// kube-proxy as a process of its own. Prints its figures as JSON.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { heapOptions } from '../../src/cluster/components.ts';
import { startApiServer, type TestApiServer } from '../../test/support/api-server.ts';
import { eventually } from '../../test/support/eventually.ts';
import { benchService, benchSlice, ENDPOINTS } from './many-services.ts';

/** Megabytes of resident memory. */
export interface MemoryFigures {
  /** After the first sync. */
  synced: number;
  /** After 50 changes of endpoints. */
  changed: number;
  /** At its highest. */
  peak: number;
}

const METRICS = '127.0.0.1:20249';
const CHANGES = 50;

async function fill(server: TestApiServer, services: number): Promise<void> {
  const post = async (path: string, body: unknown) => {
    const { status, text } = await server.request('POST', path, { body });
    if (status !== 201) throw new Error(`${path}: ${status} ${text}`);
  };
  const worker = async (first: number) => {
    for (let i = first; i < services; i += 16) {
      const { clusterIP: _ip, clusterIPs: _ips, ...spec } = benchService(i).spec ?? {};
      await post('/api/v1/namespaces/default/services', { ...benchService(i), spec });
      await post('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', benchSlice(i));
    }
  };
  await Promise.all(Array.from({ length: 16 }, (_, first) => worker(first)));
}

function startProxy(mode: string, kubeconfig: string): ChildProcess {
  const k8ts = fileURLToPath(new URL('../../bin/k8ts', import.meta.url));
  const options = [
    '--kubeconfig',
    kubeconfig,
    '--proxy-mode',
    mode,
    '--cluster-cidr',
    '10.244.0.0/16',
  ];
  const addresses = [
    '--healthz-bind-address',
    '127.0.0.1:20256',
    '--metrics-bind-address',
    METRICS,
  ];
  const args = ['proxy', '--hostname-override', 'node-a', '-v', '0', ...options, ...addresses];
  // As `k8ts up` starts it.
  const env = { ...process.env, NODE_OPTIONS: heapOptions('proxy') };
  return spawn(k8ts, args, { stdio: ['ignore', 'ignore', 'inherit'], env });
}

async function syncs(): Promise<number> {
  const text = await (await fetch(`http://${METRICS}/metrics`)).text();
  const [, count] =
    /sync_proxy_rules_duration_seconds_count\{ip_family="IPv4"\} (\d+)/.exec(text) ?? [];
  return Number(count ?? 0);
}

function memory(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const [, kilobytes] =
    new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
}

const [mode = '', services = ''] = process.argv.slice(2);
const server = await startApiServer();
await fill(server, Number(services));
const proxy = startProxy(mode, server.kubeconfig);
const pid = proxy.pid ?? 0;
const settled = async (count: number) =>
  await eventually('the proxy has synced', async () => (await syncs()) >= count, 250_000);
await settled(1);
const synced = memory(pid, 'VmRSS');
for (let i = 0; i < CHANGES; i++) {
  const before = await syncs();
  const body = benchSlice(i, ENDPOINTS - 1);
  const path = `/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/${body.metadata.name}`;
  await server.request('PATCH', path, { body: { endpoints: body.endpoints } });
  await settled(before + 1);
}
const figures: MemoryFigures = {
  synced,
  changed: memory(pid, 'VmRSS'),
  peak: memory(pid, 'VmHWM'),
};
console.log(JSON.stringify(figures));
proxy.kill('SIGKILL');
process.exit(0);
