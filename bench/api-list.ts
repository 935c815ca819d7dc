import { describeUsage, startBenchServer } from './support/bench-server.ts';
import { startFloor } from './support/floor-process.ts';
import {
  ALL_PODS,
  benchPod,
  createAll,
  fetchBytes,
  makeServiceAccount,
  PODS,
} from './support/objects.ts';

// LIST of 10,000 Pods of 3 kB, whole, in pages, and by a label that one in a hundred has, beside a bare HTTPS server that
// sends one prepared buffer of the same size. Then 300 objects of 1 MB: what a LIST of them costs in memory.

const COUNT = 10_000;
const RUNS = 7;

const server = await startBenchServer();
const results: Record<string, number> = {};
const timed = async (name: string, action: () => Promise<number>): Promise<number> => {
  const times: number[] = [];
  let bytes = 0;
  await action();
  await server.usage();
  for (let i = 0; i < RUNS; i++) {
    const start = performance.now();
    bytes = await action();
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const median = times[Math.floor(RUNS / 2)] ?? 0;
  const size = `${(bytes / 1e6).toFixed(2)} MB`;
  console.log(
    `${name.padEnd(36)} ${median.toFixed(1).padStart(8)} ms  ${size.padStart(9)}  ${describeUsage(await server.usage())}`,
  );
  results[name] = median;
  return bytes;
};

await makeServiceAccount(server);
await createAll(server, PODS, COUNT, (i) => benchPod(i, 100));
const size = await timed('LIST whole', () => fetchBytes(server, server.port, ALL_PODS));

const floor = await startFloor(server, size);
await timed('bare server, one prepared buffer', () => fetchBytes(server, floor.port, '/'));
floor.stop();

await timed('LIST in pages of 500', async () => {
  let token = '';
  let bytes = 0;
  do {
    const page = await server.send('GET', `${ALL_PODS}?limit=500&continue=${token}`);
    bytes += page.bytes;
    token = /"continue":"([^"]+)"/.exec(page.text.slice(0, 1000))?.[1] ?? '';
  } while (token !== '');
  return bytes;
});
const lean = await server.connect();
await timed(
  'LIST by a label of 1 %',
  async () => (await lean.request('GET', `${ALL_PODS}?labelSelector=hundredth%3D7`)).bytes,
);
await timed(
  'LIST by spec.nodeName (1 %)',
  async () => (await lean.request('GET', `${ALL_PODS}?fieldSelector=spec.nodeName%3Dnode-7`)).bytes,
);
await timed('GET', async () => (await lean.request('GET', `${PODS}/pod-77`)).bytes);
const share =
  (100 * (results['bare server, one prepared buffer'] ?? 0)) / (results['LIST whole'] ?? 1);
console.log(`LIST whole reaches ${share.toFixed(0)} % of the bare server (aim: at least 50 %)`);

await largeObjects();
await server.stop();

/** 300 objects of 1 MB, listed by a client that reads slowly. */
async function largeObjects(): Promise<void> {
  const path = '/api/v1/namespaces/default/configmaps';
  const data = { text: 'x'.repeat(1_000_000) };
  await createAll(server, path, 300, (i) => ({ metadata: { name: `large-${i}` }, data }));
  await fetchBytes(server, server.port, path);
  await server.quiet();
  const before = await server.usage();
  const client = await server.connect();
  let bytes = 0;
  const all = Promise.withResolvers<void>();
  client.stream(path, (chunk) => {
    bytes += chunk.length;
    if (bytes > 295e6) all.resolve();
    client.pause(true);
    // This is what reading slowly means.
    setTimeout(() => client.pause(false), 1);
  });
  await all.promise;
  const peakExtraMb = (await server.usage()).peakHeapMb - before.heapMb;
  client.close();
  console.log(
    `300 objects of 1 MB: ${(bytes / 1e6).toFixed(0)} MB sent, heap and buffers grew by at most ${peakExtraMb.toFixed(1)} MB (aim: at most 16 MB)`,
  );
}
