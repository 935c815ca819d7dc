import { describeUsage, startBenchServer } from './support/bench-server.ts';
import type { LeanClient } from './support/lean-client.ts';
import { ALL_PODS, benchPod, createAll, makeServiceAccount, PODS } from './support/objects.ts';

// 200 informers start at once on 10,000 Pods of 3 kB: by LIST, and by streaming the initial events of a watch. What counts is
// how much more memory the server needs meanwhile.

const COUNT = 10_000;
const INFORMERS = Number(process.argv[2] ?? 200);

const server = await startBenchServer();
await makeServiceAccount(server);
await createAll(server, PODS, COUNT, (i) => benchPod(i, 100));
await server.send('GET', ALL_PODS);
await new Promise((resolve) => setTimeout(resolve, 3000));
await measure('LIST', ALL_PODS, '\r\n0\r\n\r\n');
await new Promise((resolve) => setTimeout(resolve, 3000));
await measure(
  'WatchList',
  `${ALL_PODS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`,
  'initial-events-end',
);
console.log('aim: at most 50 MB more');
await server.stop();

/** All informers at once, each on a connection of its own, until each has seen `end`. */
async function measure(name: string, path: string, end: string): Promise<void> {
  const clients: LeanClient[] = [];
  for (let i = 0; i < INFORMERS; i += 20) {
    clients.push(...(await Promise.all(Array.from({ length: 20 }, () => server.connect()))));
  }
  const before = await server.usage();
  const start = performance.now();
  let bytes = 0;
  await Promise.all(
    clients.map(
      (client) =>
        new Promise<void>((resolve) => {
          let tail = '';
          client.stream(path, (chunk) => {
            bytes += chunk.length;
            tail = tail.slice(-end.length) + chunk.subarray(-400).toString('latin1');
            if (tail.includes(end)) resolve();
          });
        }),
    ),
  );
  const seconds = (performance.now() - start) / 1000;
  const usage = await server.usage();
  for (const client of clients) client.close();
  console.log(
    `${name.padEnd(10)} ${INFORMERS} informers, ${(bytes / 1e9).toFixed(1)} GB in ${seconds.toFixed(1)} s (${(bytes / 1e6 / seconds).toFixed(0)} MB/s)`,
  );
  console.log(
    `${''.padEnd(10)} memory before ${before.rssMb.toFixed(0)} MB, at most ${usage.peakRssMb.toFixed(0)} MB: ${(usage.peakRssMb - before.rssMb).toFixed(0)} MB more; heap and buffers ${(usage.peakHeapMb - before.heapMb).toFixed(0)} MB more; ${describeUsage(usage)}`,
  );
}
