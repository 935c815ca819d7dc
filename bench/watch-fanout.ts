import { describeUsage, startBenchServer } from './support/bench-server.ts';
import type { LeanClient } from './support/lean-client.ts';
import { percentile, printer } from './support/table.ts';

// 1,000 watchers of one namespace, each on a connection of its own, and updates of 3 kB objects at growing rates: how late
// each event is, and from where on events are more than the machine can send. The watchers share the machine.

const WATCHERS = Number(process.argv[2] ?? 1000);
const RATES = [10, 20, 30, 50, 100];
const SECONDS = 4;
const PATH = '/api/v1/namespaces/default/configmaps';

const server = await startBenchServer();
const data = { text: 'x'.repeat(2_700) };
const made = await server.send('POST', PATH, { metadata: { name: 'm' }, data });
const from = /"resourceVersion":"(\d+)"/.exec(made.text)?.[1] ?? '';
const latencies: number[] = [];
let events = 0;

// An event is its time of sending and its end, wherever the pieces are cut.
const SENT = Buffer.from('"sent":"');
const watch = async (): Promise<LeanClient> => {
  const client = await server.connect();
  let rest = Buffer.alloc(0);
  client.stream(`${PATH}?watch=1&resourceVersion=${from}`, (chunk) => {
    const text = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    let at = text.indexOf(SENT);
    let end = 0;
    while (at >= 0) {
      const close = text.indexOf(0x22, at + SENT.length);
      if (close < 0) break;
      latencies.push(performance.now() - Number(text.toString('latin1', at + SENT.length, close)));
      events++;
      end = close;
      at = text.indexOf(SENT, close);
    }
    rest = Buffer.from(text.subarray(at >= 0 ? at : Math.max(end, text.length - SENT.length)));
  });
  return client;
};

const watchers: LeanClient[] = [];
for (let i = 0; i < WATCHERS; i += 50) {
  watchers.push(...(await Promise.all(Array.from({ length: 50 }, watch))));
}
const writer = await server.connect();
const print = printer(['updates/s', 'events', 'of', 'events/s', 'p50 ms', 'p99 ms', 'CPU s']);
const lines: string[] = [];
for (const rate of RATES) {
  latencies.length = 0;
  events = 0;
  await server.usage();
  const start = performance.now();
  const updates = rate * SECONDS;
  for (let n = 0; n < updates; n++) {
    const wait = start + (n * 1000) / rate - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const body = JSON.stringify({ metadata: { annotations: { sent: String(performance.now()) } } });
    await writer.request('PATCH', `${PATH}/m`, body, 'application/merge-patch+json');
  }
  const wanted = updates * WATCHERS;
  const deadline = performance.now() + 20_000;
  while (events < wanted && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 20));
  const elapsed = (performance.now() - start) / 1000;
  const usage = await server.usage();
  print([
    rate,
    events,
    wanted,
    (events / elapsed).toFixed(0),
    percentile(latencies, 0.5).toFixed(1),
    percentile(latencies, 0.99).toFixed(1),
    usage.cpuSeconds.toFixed(1),
  ]);
  lines.push(`${rate} updates/s: ${describeUsage(usage)}`);
}
for (const line of lines) console.log(line);
console.log(
  'aim: every event to every watcher, p99 at most 100 ms; the highest events/s is the ceiling',
);
for (const watcher of watchers) watcher.close();
writer.close();
await server.stop();
