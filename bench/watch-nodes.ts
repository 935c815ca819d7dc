import { describeUsage, startBenchServer } from './support/bench-server.ts';
import type { LeanClient } from './support/lean-client.ts';
import { ALL_PODS, benchPod, createAll, makeServiceAccount, PODS } from './support/objects.ts';
import { printer } from './support/table.ts';

// 10,000 Pods on 1,000 nodes and updates of Pods at 500/s, while 0, 100 or 1,000 kubelets watch their own node's Pods. What
// the server needs grows with the updates, not with the watchers: each update interests one of them.

const PODS_COUNT = 10_000;
const NODES = 1000;
const RATE = 500;
const SECONDS = 5;
const WRITERS = 16;

const server = await startBenchServer();
await makeServiceAccount(server);
await createAll(server, PODS, PODS_COUNT, (i) => benchPod(i, NODES));
const writers = await Promise.all(Array.from({ length: WRITERS }, () => server.connect()));
const print = printer(['watchers', 'updates/s', 'events', 'of', 'CPU ms per update', 'ratio']);
const lines: string[] = [];
let alone = 0;
for (const count of [0, 100, 1000]) {
  let events = 0;
  const watchers: LeanClient[] = [];
  const { text } = await server.send('GET', `${ALL_PODS}?limit=1`);
  const from = /"resourceVersion":"(\d+)"/.exec(text)?.[1] ?? '';
  for (let node = 0; node < count; node++) {
    const client = await server.connect();
    client.stream(
      `${ALL_PODS}?watch=1&resourceVersion=${from}&fieldSelector=spec.nodeName%3Dnode-${node}`,
      (chunk) => {
        for (
          let at = chunk.indexOf('"type":"MODIFIED"');
          at >= 0;
          at = chunk.indexOf('"type":"MODIFIED"', at + 1)
        )
          events++;
      },
    );
    watchers.push(client);
  }
  await server.usage();
  const { done, seconds, expected } = await update(count);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const usage = await server.usage();
  const perUpdate = (usage.cpuSeconds * 1000) / done;
  alone ||= perUpdate;
  print([
    count,
    (done / seconds).toFixed(0),
    events,
    expected,
    perUpdate.toFixed(2),
    (perUpdate / alone).toFixed(2),
  ]);
  lines.push(`${count} watchers: ${describeUsage(usage)}`);
  for (const watcher of watchers) watcher.close();
}
for (const line of lines) console.log(line);
console.log('aim: CPU per update stays about the same from 0 to 1,000 watchers');
for (const writer of writers) writer.close();
await server.stop();

/** Updates of all Pods in turn at the wanted rate, by several writers. */
async function update(
  watched: number,
): Promise<{ done: number; seconds: number; expected: number }> {
  const start = performance.now();
  let next = 0;
  let expected = 0;
  await Promise.all(
    writers.map(async (writer) => {
      for (;;) {
        const n = next++;
        const due = start + (n * 1000) / RATE;
        if (due > start + SECONDS * 1000) return;
        const wait = due - performance.now();
        if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
        const pod = n % PODS_COUNT;
        if (pod % NODES < watched) expected++;
        const body = JSON.stringify({ metadata: { annotations: { n: `${watched}-${n}` } } });
        const { status } = await writer.request(
          'PATCH',
          `${PODS}/pod-${pod}`,
          body,
          'application/merge-patch+json',
        );
        if (status !== 200) throw new Error(`An update failed: ${status}`);
      }
    }),
  );
  return { done: RATE * SECONDS, seconds: (performance.now() - start) / 1000, expected };
}
