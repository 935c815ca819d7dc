import { PODS } from '../../src/api/resource-types.ts';
import type { Pod } from '../../src/api/types.ts';
import { createClient } from '../../src/client/rest-client.ts';
import { benchPods, type Figures, forgetOldGroups, KINDS, type Kind } from './pods.ts';

/** Our figures: from the first create to the last Pod seen Running. Argument: a kubeconfig. Prints Figures of each kind. */
const [, , kubeconfig = ''] = process.argv;
const ONE_RUNS = 5;
// As many as the floor has.
const THIRTY_RUNS = 4;

const client = await createClient(kubeconfig, { userAgent: 'bench' });
const all: Partial<Record<Kind, Figures>> = {};
for (const kind of KINDS) {
  const one: number[] = [];
  for (let i = 0; i < ONE_RUNS; i++) one.push(await timed(kind, `one-${i}`, 1));
  const thirty: number[] = [];
  for (let i = 0; i < THIRTY_RUNS; i++) {
    forgetOldGroups();
    await timed(kind, `warm-${i}`, 1);
    thirty.push(await timed(kind, `thirty-${i}`, 30));
  }
  all[kind] = {
    one: one.sort((a, b) => a - b)[Math.floor(ONE_RUNS / 2)] ?? 0,
    thirty: Math.min(...thirty),
  };
}
process.stdout.write(JSON.stringify(all));

async function timed(kind: Kind, prefix: string, count: number): Promise<number> {
  const pods = benchPods(kind, prefix, count);
  const labels = { bench: prefix };
  const stop = new AbortController();
  const watching = watchUntil(prefix, stop.signal, count, (pod) => pod.status?.phase === 'Running');
  const begin = performance.now();
  await Promise.all(
    pods.map((pod) => {
      const { name, namespace } = pod.metadata;
      return client.create(PODS, { ...pod, metadata: { name, namespace, labels } });
    }),
  );
  await watching;
  const ms = performance.now() - begin;
  stop.abort();
  const gone = Promise.all(
    pods.map(({ metadata }) => client.delete(PODS, { namespace: 'default', name: metadata.name })),
  );
  await gone;
  await untilGone(prefix);
  return ms;
}

/** Resolves when `count` Pods of the label have passed the test. */
async function watchUntil(
  prefix: string,
  signal: AbortSignal,
  count: number,
  passes: (pod: Pod) => boolean,
): Promise<void> {
  const passed = new Set<string>();
  const selection = { namespace: 'default', labelSelector: `bench=${prefix}` };
  const { metadata } = await client.list(PODS, selection);
  const options = { ...selection, resourceVersion: metadata.resourceVersion ?? '' };
  for await (const event of client.watch(PODS, options, signal)) {
    if (event.type === 'MODIFIED' && passes(event.object)) passed.add(event.object.metadata.uid);
    if (passed.size === count) return;
  }
}

async function untilGone(prefix: string): Promise<void> {
  const selection = { namespace: 'default', labelSelector: `bench=${prefix}` };
  const { items, metadata } = await client.list(PODS, selection);
  let left = items.length;
  if (left === 0) return;
  const options = { ...selection, resourceVersion: metadata.resourceVersion ?? '' };
  const stop = new AbortController();
  for await (const event of client.watch(PODS, options, stop.signal)) {
    if (event.type === 'DELETED') left--;
    if (left === 0) return stop.abort();
  }
}
