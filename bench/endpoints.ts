import { ENDPOINT_SLICES, PODS, SERVICES } from '../src/api/resource-types.ts';
import type { Pod } from '../src/api/types.ts';
import { FakeClient } from '../src/client/client.fake.ts';
import { InformerFactory } from '../src/client/informer-factory.ts';
import { endpointSliceController } from '../src/controllers/endpointslice/endpointslice-controller.ts';
import { World } from '../src/controllers/world.fake.ts';

// 1,000 Services of 50 Pods each, on an API server in memory: one Pod turns not ready. How many slices are written, how soon.
// `node bench/endpoints.ts [SERVICES] [PODS_EACH] [FLIPS]`
const [services = 1000, each = 50, flips = 20] = process.argv.slice(2).map(Number);
const CEILING_MS = 50;

const client = new FakeClient({ now: () => Date.now() });
const condition = (status: string) => ({
  type: 'Ready',
  status,
  lastTransitionTime: '2026-01-01T00:00:00Z',
});
for (let s = 0; s < services; s++) {
  const selector = { app: `s${s}` };
  client.seed(SERVICES, {
    metadata: { namespace: 'default', name: `s${s}` },
    spec: {
      selector,
      clusterIP: '10.96.0.9',
      ipFamilies: ['IPv4'],
      ports: [{ port: 80, protocol: 'TCP' }],
    },
  } as never);
  for (let p = 0; p < each; p++) {
    client.seed(PODS, {
      metadata: { namespace: 'default', name: `s${s}-${p}`, labels: selector },
      spec: { nodeName: `n${p}`, containers: [] },
      status: {
        phase: 'Running',
        podIP: `10.${s >> 8}.${s & 255}.${p}`,
        podIPs: [{ ip: `10.${s >> 8}.${s & 255}.${p}` }],
        conditions: [condition('True')],
      },
    } as never);
  }
}
client.compact();
const world = new World(client);
world.start([endpointSliceController]);
const began = performance.now();
while (client.all(ENDPOINT_SLICES).length < services) await sleep(50);
const first = (performance.now() - began) / 1000;
await sleep(1000);

const slices = new InformerFactory(client).get(ENDPOINT_SLICES);
const ending = new AbortController();
const watching = slices.run(ending.signal);
await slices.whenSynced(ending.signal);
const latencies: number[] = [];
let written = 0;
let flipped = 0;
slices.addHandler({
  onUpdate: () => {
    written++;
    latencies.push(performance.now() - flipped);
  },
});
for (let i = 0; i < flips; i++) {
  const key = { namespace: 'default', name: `s${(i * 37) % services}-${i % each}` };
  const pod = (await client.get(PODS, key)) as Pod;
  const conditions = [condition('False')];
  const changed = { ...pod, status: { ...pod.status, conditions } };
  flipped = performance.now();
  await client.update(PODS, changed as Pod, { subresource: 'status' });
  await sleep(150);
}
latencies.sort((a, b) => a - b);
const median = latencies[Math.floor(latencies.length / 2)] ?? Number.NaN;
const worst = latencies.at(-1) ?? Number.NaN;
console.log(
  `${services} Services of ${each} Pods (first slices of all after ${first.toFixed(1)} s): ${flips} Pods flipped, ${written} slices written (wanted ${flips}); ${median.toFixed(1)} ms after the Pod's status in the median, ${worst.toFixed(1)} ms at worst (ceiling ${CEILING_MS}, ratio ${(worst / CEILING_MS).toFixed(2)})`,
);
ending.abort();
await watching;
await world.stop();

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
