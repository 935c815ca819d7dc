import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEPLOYMENTS, NODES, PODS } from '../src/api/resource-types.ts';
import type { Pod } from '../src/api/types.ts';
import type { Client } from '../src/client/client.ts';
import { createInformer } from '../src/client/informer.ts';
import { createClient } from '../src/client/rest-client.ts';
import { startControlPlane } from '../test/support/control-plane.ts';
import { madeUpNodes } from '../test/support/made-up-nodes.ts';
import { percentile } from './support/percentile.ts';
import { printer } from './support/table.ts';

// 100, 500 and 1,000 made-up kubelets with 10 Pods each, in this process: how fast Pods start, how fast the API answers
// meanwhile, and what each component uses. `npm run bench -- scale [NODES,…]`.

const SIZES = (process.argv[2] ?? '100,500,1000').split(',').map(Number);
const PODS_PER_NODE = 10;
const DEPLOYMENT_SIZE = 100;
const ASK_EVERY_MS = 100;

const print = printer([
  'nodes',
  'pods',
  'pods/s',
  'API p50 ms',
  'API p99 ms',
  'component',
  'CPU s',
  'MB',
]);
for (const size of SIZES) await measure(size);
console.log(
  'aim: GET p99 below 1 s (upstream); bound by the cores that all of it and the made-up kubelets share',
);

async function measure(size: number): Promise<void> {
  const plane = await startControlPlane({ controllers: true });
  const client: Client = plane.client;
  // Of its own: behind the writes of a thousand kubelets it would measure this process, not the server.
  const asker = await createClient(plane.kubeconfig);
  const names = Array.from({ length: size }, (_, i) => `hollow-${i}`);
  const nodes = await madeUpNodes(client, { names });
  const stop = new AbortController();
  try {
    const pids = processesBelow(plane.root);
    const before = pids.map(({ pid }) => cpuSeconds(pid));
    const wanted = size * PODS_PER_NODE;
    const count = follow(client, stop.signal);
    const asking = askOften(asker, stop.signal);
    const begin = performance.now();
    for (let i = 0; i < wanted / DEPLOYMENT_SIZE; i++) {
      await client.create(DEPLOYMENTS, deployment(`load-${i}`, Math.min(DEPLOYMENT_SIZE, wanted)));
    }
    while (count() < wanted) await sleep(50);
    const seconds = (performance.now() - begin) / 1000;
    stop.abort();
    const answers = await asking;
    const figures = [size, wanted, (wanted / seconds).toFixed(0)];
    const times = [percentile(answers, 0.5).toFixed(1), percentile(answers, 0.99).toFixed(1)];
    for (const [i, { pid, name }] of pids.entries()) {
      const cpu = (cpuSeconds(pid) - (before[i] ?? 0)).toFixed(1);
      const lead = i === 0 ? [...figures, ...times] : ['', '', '', '', ''];
      print([...lead, name, cpu, memoryMb(pid)]);
    }
  } finally {
    asker.close();
    await nodes.stop();
    await plane.stop();
  }
}

/** How many Pods run by now. */
function follow(client: Client, signal: AbortSignal): () => number {
  const pods = createInformer(client, PODS);
  const running = new Set<string>();
  const look = ({ metadata, status }: Pod) => {
    if (status?.phase === 'Running') running.add(metadata.uid);
  };
  pods.addHandler({ onAdd: look, onUpdate: (_, pod) => look(pod) });
  void pods.run(signal).catch(() => {});
  return () => running.size;
}

/** Milliseconds that GETs of a node take, one at a time, until aborted. */
async function askOften(client: Client, signal: AbortSignal): Promise<number[]> {
  const times: number[] = [];
  while (!signal.aborted) {
    const begin = performance.now();
    await client.get(NODES, { namespace: '', name: 'hollow-0' });
    times.push(performance.now() - begin);
    await sleep(ASK_EVERY_MS);
  }
  return times;
}

function deployment(name: string, replicas: number) {
  const labels = { app: name };
  const containers = [{ name: 'main', image: 'example/main:1' }];
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace: 'default', name },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers } },
    },
  };
}

/** The components by their command lines, which name the directory. */
function processesBelow(root: string): { name: string; pid: number }[] {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim();
  return children
    .split(' ')
    .map((text) => {
      const line = readFileSync(`/proc/${text}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const name = /k8ts\S* (apiserver|scheduler|controller-manager)/.exec(line)?.[1] ?? '';
      return { name: line.includes(root) ? name : '', pid: Number(text) };
    })
    .filter(({ name }) => name !== '');
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function memoryMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
}
