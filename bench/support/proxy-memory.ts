import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { ENDPOINT_SLICES } from '../../src/api/resource-types.ts';
import { createClient } from '../../src/client/rest-client.ts';
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
const LIMIT_MS = 500_000;

/** An API server with that many Services. */
export async function filledApiServer(services: number): Promise<TestApiServer> {
  const server = await startApiServer();
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
  return server;
}

/** Of `COMMAND proxy` with these Services, as a process of its own. */
export async function measureProxy(
  mode: string,
  kubeconfig: string,
  command: readonly string[],
): Promise<MemoryFigures> {
  const proxy = startProxy(mode, kubeconfig, command);
  const pid = proxy.pid ?? 0;
  const settled = async (count: number) =>
    await eventually('the proxy has synced', async () => (await syncs()) >= count, LIMIT_MS);
  await settled(1);
  const synced = memory(pid, 'VmRSS');
  const client = await createClient(kubeconfig);
  for (let i = 0; i < CHANGES; i++) {
    const before = await syncs();
    const { metadata, endpoints } = benchSlice(i, ENDPOINTS - 1);
    const key = { namespace: 'default', name: metadata.name };
    const slice = await client.get(ENDPOINT_SLICES, key);
    await client.update(ENDPOINT_SLICES, { ...slice, endpoints });
    await settled(before + 1);
  }
  client.close();
  const figures = { synced, changed: memory(pid, 'VmRSS'), peak: memory(pid, 'VmHWM') };
  proxy.kill('SIGKILL');
  return figures;
}

function startProxy(
  mode: string,
  kubeconfig: string,
  [program = '', ...words]: readonly string[],
): ChildProcess {
  const flags = {
    kubeconfig,
    'proxy-mode': mode,
    'cluster-cidr': '10.244.0.0/16',
    'hostname-override': 'node-a',
    'healthz-bind-address': '127.0.0.1:20256',
    'metrics-bind-address': METRICS,
  };
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  // As `k8ts up` starts it.
  const env = { ...process.env, NODE_OPTIONS: heapOptions('proxy') };
  const stdio = ['ignore', 'ignore', 'inherit'] as const;
  return spawn(program, [...words, 'proxy', '-v', '0', ...args], { stdio: [...stdio], env });
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
