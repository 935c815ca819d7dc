import { NODES, PODS } from '../src/api/resource-types.ts';
import { createInformer } from '../src/client/informer.ts';
import type { RestClient } from '../src/client/rest-client.ts';
import { startControlPlane } from '../test/support/control-plane.ts';
import { createNamespace, draft, manyAtOnce, NAMESPACE, startNodes } from './sched/cluster.ts';
import { benchNode, benchPod } from './sched/workloads.ts';

// How long a Pod that fits waits beside thousands that fit nowhere, end to end: `node bench/sched-waiting.ts [NODES] [PODS]`
const LIMIT_MS = 100;
const PROBES = 50;

/** What the API server has shown so far of the Pods. */
class Watch {
  readonly #pods;
  readonly #waiters = new Set<() => void>();
  refused = 0;

  constructor(client: RestClient) {
    this.#pods = createInformer(client, PODS, { namespace: NAMESPACE });
    this.#pods.addHandler({
      onAdd: () => this.#look(),
      onUpdate: (before, after) => {
        if (!before.status?.conditions?.length && after.status?.conditions?.length) this.refused++;
        this.#look();
      },
    });
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#pods.run(signal);
  }

  isBound(name: string): boolean {
    return Boolean(this.#pods.get({ namespace: NAMESPACE, name })?.spec?.nodeName);
  }

  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return;
        this.#waiters.delete(look);
        resolve();
      };
      this.#waiters.add(look);
      look();
    });
  }

  #look(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }
}

/** One Pod after the other: from the answer to its creation to the sight of its node. */
async function probe(client: RestClient, watch: Watch, prefix: string): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < PROBES; i++) {
    const name = `${prefix}-${i}`;
    const bound = watch.until(() => watch.isBound(name));
    const pod = draft(benchPod(name, { namespace: NAMESPACE }));
    await client.create(PODS, pod);
    const created = performance.now();
    await bound;
    times.push(performance.now() - created);
  }
  return times.sort((a, b) => a - b);
}

function told(what: string, times: readonly number[]): void {
  const at = (share: number) => times[Math.floor((times.length - 1) * share)] ?? 0;
  const [p50, p90, worst] = [at(0.5), at(0.9), at(1)].map((ms) => ms.toFixed(0));
  const ratio = (LIMIT_MS / Math.max(1, at(1))).toFixed(1);
  console.log(
    `${what}: created to bound p50 ${p50} ms, p90 ${p90} ms, worst ${worst} ms (limit ${LIMIT_MS}, ratio ${ratio})`,
  );
}

async function main(nodeCount: number, waiting: number): Promise<void> {
  const plane = await startControlPlane();
  const abort = new AbortController();
  let stopNodes = () => {};
  try {
    const { client } = plane;
    await createNamespace(client);
    stopNodes = await startNodes(client, nodeCount);
    const watch = new Watch(client);
    const watching = watch.run(abort.signal);
    const names = Array.from({ length: waiting }, (_, i) => `huge-${i}`);
    await manyAtOnce(names, (name) =>
      client.create(PODS, draft(benchPod(name, { namespace: NAMESPACE, cpu: '64' }))),
    );
    await watch.until(() => watch.refused >= waiting);
    told(`${waiting} Pods wait`, await probe(client, watch, 'quiet'));
    // All of them would fit there, if they tolerated it: every one is tried again.
    const big = benchNode(nodeCount + 1);
    await client.create(NODES, {
      ...draft({ ...big, metadata: { ...big.metadata, namespace: '' } }),
      spec: { taints: [{ key: 'dedicated', effect: 'NoSchedule' }] },
      status: { allocatable: { cpu: '640', memory: '640Gi', pods: '110' } },
    });
    told(`${waiting} Pods have been woken`, await probe(client, watch, 'woken'));
    abort.abort();
    await watching.catch(() => {});
  } finally {
    abort.abort();
    stopNodes();
    await plane.stop();
  }
}

await main(Number(process.argv[2] ?? 1000), Number(process.argv[3] ?? 10_000));
