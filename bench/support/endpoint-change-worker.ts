// `endpoint-change-worker.ts MODE SERVICES` in a network namespace of its own: prints its figures as JSON.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { heapOptions } from '../../src/cluster/components.ts';
import { run } from '../../src/host/exec.ts';
import { startApiProcess } from '../../test/support/api-process.ts';
import { eventually } from '../../test/support/eventually.ts';
import { LeanClient } from './lean-client.ts';
import { benchService, benchSlice } from './many-services.ts';

/** Milliseconds from the moment a write was sent to the API server. */
export interface ChangeFigures {
  /** Until a new connection reached the new endpoint. */
  readonly routed: number[];
  /** Until a watcher that does nothing else was told. */
  readonly watched: number[];
  /** What the kernel's tool alone takes for rules of that size, twice: a change and its undoing. */
  readonly tool: number[];
  /** Until the writer had its answer. */
  readonly answered: number[];
}

const CHANGES = 60;
const LAST = { ip: '10.96.0.10', port: 80 };
/** Two endpoints of this machine, and what they say. */
const ENDPOINTS = ['198.18.0.1', '198.18.0.2'] as const;
const PAUSE_MS = 150;

const [mode = '', count = ''] = process.argv.slice(2);
for (const ip of ENDPOINTS) {
  await run('ip', ['addr', 'add', `${ip}/32`, 'dev', 'lo']);
  const server = createServer((socket) => socket.on('error', () => {}).end(ip));
  await new Promise<void>((resolve) => server.listen(8080, ip, resolve));
}
const api = await startApiProcess();
const client = await LeanClient.connect({ ...api.tls, port: api.port });
await fill(Number(count));
const files = mkdtempSync(join(tmpdir(), 'k8ts-bench-'));
const proxy = startProxy();
await eventually('the Service answers', async () => (await ask()) === ENDPOINTS[0], 120_000);
const watcher = await watch();
const figures = await measure();
console.log(JSON.stringify(figures));
watcher.close();
client.close();
proxy.kill('SIGKILL');
rmSync(files, { recursive: true });
await api.stop();
process.exit(0);

async function send(method: string, path: string, body: object, type?: string): Promise<void> {
  const answer = await client.request(method, path, JSON.stringify(body), type);
  if (answer.status > 201) throw new Error(`${path}: ${answer.status} ${answer.text}`);
}

async function fill(services: number): Promise<void> {
  for (let i = 0; i < services; i++) {
    const made = benchService(i);
    const { clusterIP: _ip, clusterIPs: _ips, ...spec } = made.spec ?? {};
    const own = i === services - 1 ? { ...spec, clusterIP: LAST.ip } : spec;
    await send('POST', '/api/v1/namespaces/default/services', { ...made, spec: own });
    const slice = benchSlice(i);
    const body = i === services - 1 ? { ...slice, endpoints: endpointAt(0) } : slice;
    await send('POST', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', body);
  }
}

function endpointAt(index: number) {
  return [{ addresses: [ENDPOINTS[index % 2]], conditions: { ready: true } }];
}

function startProxy(): ChildProcess {
  const k8ts = fileURLToPath(new URL('../../bin/k8ts', import.meta.url));
  const kubeconfig = join(files, 'kubeconfig');
  writeFileSync(kubeconfig, kubeconfigText(), { mode: 0o600 });
  const options = ['--kubeconfig', kubeconfig, '--proxy-mode', mode, '-v', '0'];
  const where = ['--hostname-override', 'node-a', '--cluster-cidr', '10.244.0.0/16'];
  const env = { ...process.env, NODE_OPTIONS: heapOptions('proxy') };
  return spawn(k8ts, ['proxy', ...options, ...where], { stdio: 'ignore', env });
}

function kubeconfigText(): string {
  const { ca, cert, key } = api.tls;
  const base64 = (pem: string) => Buffer.from(pem).toString('base64');
  const server = `https://127.0.0.1:${api.port}`;
  const cluster = { server, 'certificate-authority-data': base64(ca) };
  const user = { 'client-certificate-data': base64(cert), 'client-key-data': base64(key) };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'bench', cluster }],
    users: [{ name: 'bench', user }],
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'bench' } }],
    'current-context': 'bench',
  });
}

/** Who answers at the Service; '' for nobody. */
function ask(): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ host: LAST.ip, port: LAST.port });
    socket.setTimeout(1_000, () => socket.destroy());
    socket.on('error', () => {});
    socket.on('data', (data) => {
      text += String(data);
    });
    socket.on('close', () => resolve(text));
  });
}

async function watch(): Promise<LeanClient & { told?: () => void }> {
  const path = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?watch=1';
  const listed = await client.request('GET', `${path.split('?')[0]}?limit=1`);
  const revision = /"resourceVersion":"(\d+)"/.exec(listed.text)?.[1] ?? '';
  const open: LeanClient & { told?: () => void } = await LeanClient.connect({
    ...api.tls,
    port: api.port,
  });
  open.stream(`${path}&resourceVersion=${revision}`, () => open.told?.());
  return open;
}

async function measure(): Promise<ChangeFigures> {
  const path = `/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/s${Number(count) - 1}-a`;
  const taken: ChangeFigures = { routed: [], watched: [], tool: [], answered: [] };
  for (let i = 1; i <= CHANGES; i++) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * (1 + Math.random())));
    const begin = performance.now();
    const since = () => performance.now() - begin;
    const watched = new Promise<number>((resolve) => {
      watcher.told = () => resolve(since());
    });
    const patch = { endpoints: endpointAt(i) };
    const answered = send('PATCH', path, patch, 'application/merge-patch+json').then(since);
    while ((await ask()) !== ENDPOINTS[i % 2]);
    taken.routed.push(since());
    taken.watched.push(await watched);
    taken.answered.push(await answered);
    taken.tool.push(await toolAlone());
  }
  return taken;
}

/** One chain written anew by the mode's tool, with as many chains there as the Services have. */
async function toolAlone(): Promise<number> {
  const begin = performance.now();
  if (mode === 'nftables') {
    const rule = 'meta l4proto tcp dnat to 198.18.0.1:8080';
    const text = `table ip bench { chain one { type nat hook output priority 200 ; } ; chain two { ${rule} ; } ; }`;
    await run('nft', ['-f', '-'], { input: `${text}\ndelete table ip bench\n` });
  } else {
    const lines = [':KUBE-BENCH - [0:0]', '-A KUBE-BENCH -p tcp -j DNAT --to-destination 1.2.3.4'];
    const input = `*nat\n${lines.join('\n')}\nCOMMIT\n`;
    await run('iptables-restore', ['--noflush', '--counters', '-w', '5'], { input });
  }
  return performance.now() - begin;
}
