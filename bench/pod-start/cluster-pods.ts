import { PODS } from '../../src/api/resource-types.ts';
import type { Pod } from '../../src/api/types.ts';
import { createClient } from '../../src/client/rest-client.ts';
import { benchPods, forgetOldGroups } from './pods.ts';

/** Our figure: from the first create to the last Pod seen Running. Argument: a kubeconfig. Prints milliseconds: {one, thirty}. */
const [, , kubeconfig = ''] = process.argv;
const ONE_RUNS = 5;
// As many as the floor has.
const THIRTY_RUNS = 8;

const client = await createClient(kubeconfig, { userAgent: 'bench' });
const one: number[] = [];
for (let i = 0; i < ONE_RUNS; i++) one.push(await timed(`one-${i}`, 1));
const thirty: number[] = [];
for (let i = 0; i < THIRTY_RUNS; i++) {
  forgetOldGroups();
  await timed(`warm-${i}`, 1);
  thirty.push(await timed(`thirty-${i}`, 30));
}
process.stdout.write(
  JSON.stringify({
    one: one.sort((a, b) => a - b)[Math.floor(ONE_RUNS / 2)],
    thirty: Math.min(...thirty),
  }),
);

async function timed(prefix: string, count: number): Promise<number> {
  const labels = { bench: prefix };
  const stop = new AbortController();
  const watching = watchUntil(prefix, stop.signal, count, (pod) => pod.status?.phase === 'Running');
  const begin = performance.now();
  await Promise.all(
    benchPods(prefix, count).map((pod) => {
      const { name, namespace } = pod.metadata;
      return client.create(PODS, { ...pod, metadata: { name, namespace, labels } });
    }),
  );
  await watching;
  const ms = performance.now() - begin;
  stop.abort();
  const gone = Promise.all(
    benchPods(prefix, count).map(({ metadata }) =>
      client.delete(PODS, { namespace: 'default', name: metadata.name }),
    ),
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
