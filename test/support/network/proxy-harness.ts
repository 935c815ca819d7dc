// A whole proxy without an API server: objects come in as lines of JSON.
import { createInterface } from 'node:readline';
import {
  ENDPOINT_SLICES,
  NODES,
  type ObjectKey,
  type ResourceType,
  SERVICES,
} from '../../../src/api/resource-types.ts';
import type { EndpointSlice, KubeObject } from '../../../src/api/types.ts';
import { FakeClient } from '../../../src/client/client.fake.ts';
import { createInformer } from '../../../src/client/informer.ts';
import { conntrack } from '../../../src/host/conntrack.ts';
import { sysctl } from '../../../src/host/sysctl.ts';
import type { ProxyMode } from '../../../src/proxy/backend.ts';
import { openBackend } from '../../../src/proxy/backends.ts';
import { DEFAULTS } from '../../../src/proxy/config.ts';
import { removeLeftovers } from '../../../src/proxy/leftovers.ts';
import { proxyMetrics } from '../../../src/proxy/metrics.ts';
import { setSysctls } from '../../../src/proxy/node-sysctls.ts';
import { ServiceProxy } from '../../../src/proxy/proxy.ts';
import { ProxyHealth } from '../../../src/proxy/proxy-health.ts';
import { ServiceHealthServer } from '../../../src/proxy/service-health.ts';
import { realClock } from '../../../src/util/clock.ts';
import { createLogger } from '../../../src/util/log.ts';
import type { ProxyRequest } from './network-world.ts';
import { Runs } from './runs.ts';

const [mode = 'iptables', syncPeriodMs = '30000', text = '{}'] = process.argv.slice(2);
const settings = JSON.parse(text) as Partial<typeof DEFAULTS>;
const configuration = {
  ...DEFAULTS,
  mode: mode as ProxyMode,
  clusterCIDR: '10.244.0.0/16,fd00:10:244::/48',
  ...settings,
  ipvs: { ...DEFAULTS.ipvs, ...settings.ipvs },
};
const TYPES: Record<string, ResourceType<KubeObject>> = {
  Service: SERVICES as ResourceType<KubeObject>,
  EndpointSlice: ENDPOINT_SLICES as ResourceType<KubeObject>,
  Node: NODES as ResourceType<KubeObject>,
};

const log = createLogger('proxy', 4);
const client = new FakeClient();
const services = createInformer(client, SERVICES);
const endpointSlices = createInformer(client, ENDPOINT_SLICES);
const nodes = createInformer(client, NODES);
const node = () => nodes.get({ namespace: '', name: 'node-a' });
const health = new ProxyHealth(realClock, { timeoutMs: 60_000, node });
const serviceHealth = new ServiceHealthServer({ log, healthy: () => true });
const stop = new AbortController();
const runs = { 4: new Runs(), 6: new Runs() };

const backends = [
  await openBackend(configuration.mode, 4, configuration, { node, log }),
  await openBackend(configuration.mode, 6, configuration, { node, log }),
];
for (const backend of backends) {
  const sync = backend.sync.bind(backend);
  backend.sync = async (...given) => {
    const succeeded = runs[backend.family].begin();
    const routed = await sync(...given);
    succeeded();
    return routed;
  };
}
await removeLeftovers(configuration, { node, log }, stop.signal);
await setSysctls(configuration, sysctl, log);
const proxy = new ServiceProxy(
  {
    services,
    endpointSlices,
    nodes,
    backends,
    conntrack,
    health,
    serviceHealth,
    metrics: proxyMetrics(),
    clock: realClock,
    log,
  },
  {
    nodeName: 'node-a',
    allowExternalIPs: true,
    minSyncPeriodMs: 20,
    syncPeriodMs: Number(syncPeriodMs),
  },
);
let running: Promise<void> | undefined;

async function handle(request: ProxyRequest): Promise<unknown> {
  switch (request.op) {
    case 'apply':
      for (const object of request.objects) await apply(object);
      return {};
    case 'start':
      running = proxy.run(stop.signal).catch((err: unknown) => {
        console.error(err);
        process.exit(1);
      });
      return {};
    case 'apply-timed': {
      const started = performance.now();
      for (const object of request.objects) await synced(await apply(object));
      return performance.now() - started;
    }
    case 'delete':
      for (const object of request.objects) await remove(object);
      return {};
    case 'cleanup':
      stop.abort();
      await running;
      for (const backend of backends) await backend.cleanup(new AbortController().signal);
      return {};
  }
}

/** As it was written. */
async function apply(object: KubeObject): Promise<KubeObject> {
  const type = typeOf(object);
  const { name = '', namespace = '' } = object.metadata;
  const key = { namespace, name };
  const known = await client.get(type, key).catch(() => undefined);
  const written = known
    ? await client.update(type, await merged(type, key, object))
    : await client.create(type, object);
  if (!object.status) return written;
  const whole = await merged(type, key, object);
  return await client.update(type, whole, { subresource: 'status' });
}

/** The kernel routes to the endpoints of this slice. */
async function synced({ metadata, ...slice }: KubeObject): Promise<void> {
  const { namespace = '', name = '', resourceVersion } = metadata;
  const isSeen = () =>
    endpointSlices.get({ namespace, name })?.metadata.resourceVersion === resourceVersion;
  await runs[(slice as EndpointSlice).addressType === 'IPv6' ? 6 : 4].since(isSeen);
}

/** `object` with the stored one's metadata under its own. */
async function merged(type: ResourceType<KubeObject>, key: ObjectKey, object: KubeObject) {
  const { metadata } = await client.get(type, key);
  return { ...object, metadata: { ...metadata, ...object.metadata } };
}

async function remove(object: KubeObject): Promise<void> {
  const { namespace = '', name = '' } = object.metadata;
  await client.delete(typeOf(object), { namespace, name });
}

function typeOf(object: KubeObject): ResourceType<KubeObject> {
  const type = TYPES[object.kind];
  if (!type) throw new Error(`No such kind: ${object.kind}`);
  return type;
}

const lines = createInterface({ input: process.stdin });
console.log(JSON.stringify({ ready: true }));
for await (const line of lines) {
  const request = JSON.parse(line) as ProxyRequest & { id: number };
  handle(request).then(
    (result) => console.log(JSON.stringify({ id: request.id, result })),
    (err: unknown) => console.log(JSON.stringify({ id: request.id, error: String(err) })),
  );
}
