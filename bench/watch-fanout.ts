import { describeUsage, startBenchServer } from './support/bench-server.ts';
import { printer } from './support/table.ts';
import { sharedNow, startWatchers } from './support/watchers.ts';

// 1,000 watchers of one namespace, each on a connection of its own, and updates of 3 kB objects at growing rates: how late
// each event is behind the moment at which its update was due, and from where on events are more than the machine can send.
// The watchers are a process of their own; on two cores that is the other core.

const WATCHERS = Number(process.argv[2] ?? 1000);
const RATES = (process.argv[3] ?? '10,30,50,100,150,200').split(',').map(Number);
const SECONDS = 4;
const OBJECTS = 20;
const PATIENCE_MS = 20_000;
const PATH = '/api/v1/namespaces/default/configmaps';

const server = await startBenchServer();
const data = { text: 'x'.repeat(2_700) };
for (let n = 0; n < OBJECTS; n++)
  await server.send('POST', PATH, { metadata: { name: `m${n}` }, data });
const { text } = await server.send('GET', `${PATH}?limit=1`);
const from = /"resourceVersion":"(\d+)"/.exec(text)?.[1] ?? '';
const path = `${PATH}?watch=1&resourceVersion=${from}`;
const watchers = await startWatchers({ ...server.tls, port: server.port, path, count: WATCHERS });
const writers = await Promise.all(Array.from({ length: OBJECTS }, () => server.connect()));

/** Updates at a rate that does not heed how long they take. Answers how many were made a second. */
async function update(rate: number): Promise<number> {
  const start = sharedNow();
  const count = rate * SECONDS;
  await Promise.all(
    writers.map(async (writer, own) => {
      for (let n = own; n < count; n += OBJECTS) {
        const due = start + (n * 1000) / rate;
        const wait = due - sharedNow();
        if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
        const body = JSON.stringify({ metadata: { annotations: { sent: String(due) } } });
        const type = 'application/merge-patch+json';
        const { status } = await writer.request('PATCH', `${PATH}/m${own}`, body, type);
        if (status !== 200) throw new Error(`An update failed: ${status}`);
      }
    }),
  );
  return (count * 1000) / (sharedNow() - start);
}

const print = printer([
  ...['updates/s', 'made/s', 'events', 'of', 'events/s', 'p50 ms', 'p99 ms'],
  ...['CPU us/event', 'watchers us/event'],
]);
const lines: string[] = [];
for (const rate of RATES) {
  await server.usage();
  const start = sharedNow();
  const made = await update(rate);
  const wanted = rate * SECONDS * WATCHERS;
  const seen = await watchers.seen(wanted, PATIENCE_MS);
  const seconds = (sharedNow() - start) / 1000;
  const usage = await server.usage();
  const perEvent = (cpuSeconds: number): string => ((cpuSeconds * 1e6) / seen.events).toFixed(1);
  print([
    ...[rate, made.toFixed(0), seen.events, wanted, (seen.events / seconds).toFixed(0)],
    ...[seen.p50.toFixed(1), seen.p99.toFixed(1)],
    ...[perEvent(usage.cpuSeconds), perEvent(seen.cpuSeconds)],
  ]);
  lines.push(`${rate} updates/s: ${describeUsage(usage)}`);
}
for (const line of lines) console.log(line);
console.log(
  'aim: every event to every watcher, at 100 updates/s p99 at most 100 ms; the highest events/s is the ceiling',
);
watchers.stop();
for (const writer of writers) writer.close();
await server.stop();
