import { describeUsage, startBenchServer } from './support/bench-server.ts';
import { ALL_PODS, benchPod, createAll, makeServiceAccount, PODS } from './support/objects.ts';
import { percentile, printer } from './support/table.ts';

// GET, a page of a LIST, and an update with 1,000, 10,000 and 50,000 Pods of 3 kB, one client; and memory per object.

const SIZES = (process.argv[2] ?? '1000,10000,50000').split(',').map(Number);
const RUNS = 300;

const server = await startBenchServer();
await makeServiceAccount(server);
await server.send('GET', ALL_PODS);
const empty = await server.usageOfKept();
const print = printer([
  'objects',
  'GET ms',
  'page ms',
  'update ms',
  'kB/object',
  'GET ratio',
  'update ratio',
]);
const lines: string[] = [];
let present = 0;
let first: { get: number; update: number } | undefined;
for (const size of SIZES) {
  const start = present;
  await createAll(server, PODS, size - present, (i) => benchPod(start + i, 1000));
  present = size;
  await server.quiet();
  const client = await server.connect();
  const usage = await server.usageOfKept();
  const kilobytes = ((usage.heapMb - empty.heapMb) * 1024) / size;
  await server.usage();
  const get = await median((n) => client.request('GET', `${PODS}/pod-${(n * 7919) % size}`));
  const page = await median(() => client.request('GET', `${ALL_PODS}?limit=500`), 30);
  const update = await median((n) => {
    const body = JSON.stringify({ metadata: { annotations: { n: `${size}-${n}` } } });
    return client.request(
      'PATCH',
      `${PODS}/pod-${(n * 7919) % size}`,
      body,
      'application/merge-patch+json',
    );
  });
  first ??= { get, update };
  print([
    size,
    ...[get, page, update].map((ms) => ms.toFixed(2)),
    kilobytes.toFixed(1),
    (get / first.get).toFixed(2),
    (update / first.update).toFixed(2),
  ]);
  client.close();
  lines.push(`${size} objects: ${describeUsage(await server.usage())}`);
}
for (const line of lines) console.log(line);
console.log(
  'aim: GET and update take as long with 50,000 objects as with 1,000; 10,000 Pods add at most 60 MB (6.1 kB each)',
);
await server.stop();

async function median(
  ask: (n: number) => Promise<{ status: number }>,
  runs = RUNS,
): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < runs; n++) {
    const start = performance.now();
    const { status } = await ask(n);
    if (status !== 200) throw new Error(`A request failed: ${status}`);
    times.push(performance.now() - start);
  }
  return percentile(times, 0.5);
}
