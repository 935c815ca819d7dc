import { readFileSync } from 'node:fs';
import { PODS } from '../src/api/resource-types.ts';
import { createInformer } from '../src/client/informer.ts';
import type { RestClient } from '../src/client/rest-client.ts';
import { type ControlPlane, startControlPlane } from '../test/support/control-plane.ts';
import { createNamespace, draft, manyAtOnce, NAMESPACE, startNodes } from './sched/cluster.ts';
import { benchPod } from './sched/workloads.ts';

// End to end: made-up nodes and Pods against a real API server and a real scheduler, on this machine.
// `node bench/sched-cluster.ts [NODES] [PODS]`
const FLOOR = 500;

interface Times {
  readonly created: Map<string, number>;
  readonly bound: Map<string, number>;
}

/** Creates the Pods as fast as the API server takes them, and waits until all have a node. */
async function placeAll(client: RestClient, count: number): Promise<Times> {
  const abort = new AbortController();
  const times: Times = { created: new Map(), bound: new Map() };
  const done = Promise.withResolvers<void>();
  const selection = { namespace: NAMESPACE, fieldSelector: 'spec.nodeName!=' };
  const pods = createInformer(client, PODS, selection);
  pods.addHandler({
    onAdd({ metadata }) {
      times.bound.set(metadata.name, performance.now());
      if (times.bound.size === count) done.resolve();
    },
  });
  const watching = pods.run(abort.signal);
  await pods.whenSynced(abort.signal);
  const names = Array.from({ length: count }, (_, i) => `pod-${i}`);
  await manyAtOnce(names, async (name) => {
    await client.create(PODS, draft(benchPod(name, { namespace: NAMESPACE })));
    times.created.set(name, performance.now());
  });
  await done.promise;
  abort.abort();
  await watching.catch(() => {});
  return times;
}

/** Seconds of processor time so far. */
function cpuSeconds(pid: number | undefined): number {
  const stat = readFileSync(`/proc/${pid ?? 'self'}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function processorTimes({ pid }: ControlPlane): Record<string, number> {
  return {
    'API server': cpuSeconds(pid('apiserver')),
    scheduler: cpuSeconds(pid('scheduler')),
    'this bench': cpuSeconds(undefined),
  };
}

function report(times: Times, started: number, count: number): string {
  const seconds = (Math.max(...times.bound.values()) - started) / 1000;
  const rate = count / seconds;
  const waits = [...times.bound]
    .map(([name, at]) => Math.max(0, at - (times.created.get(name) ?? at)))
    .sort((a, b) => a - b);
  const at = (share: number) => (waits[Math.floor(waits.length * share)] ?? 0).toFixed(0);
  const creating = (Math.max(...times.created.values()) - started) / 1000;
  return (
    `${rate.toFixed(0)} Pods/s (floor ${FLOOR}, ratio ${(rate / FLOOR).toFixed(2)}); ` +
    `created to bound p50 ${at(0.5)} ms, p99 ${at(0.99)} ms; ` +
    `creating took ${creating.toFixed(1)} s of ${seconds.toFixed(1)} s`
  );
}

async function main(nodeCount: number, podCount: number): Promise<void> {
  const plane = await startControlPlane();
  let stopNodes = () => {};
  try {
    const { client } = plane;
    await createNamespace(client);
    stopNodes = await startNodes(client, nodeCount);
    const before = processorTimes(plane);
    const started = performance.now();
    const times = await placeAll(client, podCount);
    console.log(`${nodeCount} nodes, ${podCount} Pods: ${report(times, started, podCount)}`);
    const used = Object.entries(processorTimes(plane)).map(
      ([who, seconds]) =>
        `${who} ${(((seconds - (before[who] ?? 0)) * 1000) / podCount).toFixed(2)}`,
    );
    console.log(`processor time, ms per Pod: ${used.join(', ')}`);
  } finally {
    stopNodes();
    await plane.stop();
  }
}

await main(Number(process.argv[2] ?? 5000), Number(process.argv[3] ?? 5000));
