import { NODES, PODS, type ResourceType } from '../../src/api/resource-types.ts';
import type { Node, Pod } from '../../src/api/types.ts';
import type { Informer } from '../../src/client/client.ts';
import { clusterView } from '../../src/scheduler/cluster-view.ts';
import { readConfig } from '../../src/scheduler/config.ts';
import { createScheduler } from '../../src/scheduler/create-scheduler.ts';
import { realClock } from '../../src/util/clock.ts';
import { silent } from '../../src/util/log.ts';
import { Metrics } from '../../src/util/metrics.ts';
import { steadyClock } from '../../src/util/steady-clock.ts';
import { MemoryInformer, memoryClient } from './memory-api.ts';
import { benchNode, type Workload } from './workloads.ts';

export interface Measured {
  readonly podsPerSecond: number;
  /** Milliseconds per scheduled Pod. */
  readonly p50: number;
  readonly p99: number;
  readonly heapPerNode: number;
  readonly heapPerPod: number;
}

/** The scheduler alone: API and informers are function calls in the same process. */
export async function measureAlgorithm(workload: Workload): Promise<Measured> {
  const informers = new Map<unknown, MemoryInformer<never>>();
  const informer = <T>(type: ResourceType<T>): Informer<T> => {
    const made = new MemoryInformer<never>(type as never);
    informers.set(type, made);
    return made as unknown as Informer<T>;
  };
  const view = clusterView(informer);
  const pods = informers.get(PODS) as unknown as MemoryInformer<Pod>;
  const nodes = informers.get(NODES) as unknown as MemoryInformer<Node>;
  const bound = new Counter();
  const scheduler = createScheduler(
    {
      client: memoryClient(pods, () => bound.add()),
      view,
      extenders: [],
      events: { event: () => {} },
      metrics: new Metrics(),
      clock: steadyClock,
      wall: realClock,
      random: Math.random,
      log: silent,
    },
    readConfig(undefined),
  );
  const heap = () => {
    globalThis.gc?.();
    return process.memoryUsage().heapUsed;
  };
  const before = heap();
  for (let i = 0; i < workload.nodes; i++) {
    const node = benchNode(i);
    const metadata = { ...node.metadata, ...workload.node?.(i) };
    nodes.set({
      ...node,
      metadata: { ...metadata, labels: { ...node.metadata.labels, ...metadata.labels } },
    });
  }
  const withNodes = heap();
  const abort = new AbortController();
  const running = scheduler.run(abort.signal);
  for (let i = 0; i < workload.initPods; i++) pods.set(workload.initPod(i));
  await bound.reach(workload.initPods);
  const withPods = heap();
  for (let i = 0; i < (workload.backlog?.count ?? 0); i++) {
    const pod = workload.backlog?.pod(i);
    if (pod) pods.set(pod);
  }
  bound.restart();
  const started = performance.now();
  for (let i = 0; i < workload.pods; i++) pods.set(workload.pod(i));
  const stopChurn = workload.churn ? churn(nodes) : () => {};
  await bound.reach(workload.pods);
  const seconds = (performance.now() - started) / 1000;
  stopChurn();
  abort.abort();
  await running.catch(() => {});
  return {
    podsPerSecond: workload.pods / seconds,
    ...bound.percentiles(),
    heapPerNode: (withNodes - before) / workload.nodes,
    heapPerPod: workload.initPods > 0 ? (withPods - withNodes) / workload.initPods : 0,
  };
}

/** A node joins and leaves again and again, as in upstream's mixed churn. */
function churn(nodes: MemoryInformer<Node>): () => void {
  let i = 0;
  const timer = setInterval(() => {
    const node = benchNode(1_000_000 + i++);
    nodes.set({ ...node, status: { allocatable: { cpu: '0', memory: '0', pods: '0' } } });
    nodes.remove(node.metadata);
  }, 200);
  return () => clearInterval(timer);
}

class Counter {
  #count = 0;
  #goal = 0;
  #last = performance.now();
  #gaps: number[] = [];
  #reached: () => void = () => {};

  add(): void {
    const now = performance.now();
    this.#gaps.push(now - this.#last);
    this.#last = now;
    if (++this.#count === this.#goal) this.#reached();
  }

  restart(): void {
    this.#count = 0;
    this.#gaps = [];
    this.#last = performance.now();
  }

  reach(goal: number): Promise<void> {
    if (this.#count >= goal) return Promise.resolve();
    this.#goal = goal;
    return new Promise((resolve) => {
      this.#reached = resolve;
    });
  }

  percentiles(): { p50: number; p99: number } {
    const sorted = this.#gaps.toSorted((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0;
    return { p50: at(0.5), p99: at(0.99) };
  }
}
