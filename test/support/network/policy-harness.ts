// The enforcement of network policies without an API server: objects come in as lines of JSON.
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import {
  NAMESPACES,
  NETWORK_POLICIES,
  PODS,
  type ResourceType,
} from '../../../src/api/resource-types.ts';
import type { KubeObject } from '../../../src/api/types.ts';
import { FakeClient } from '../../../src/client/client.fake.ts';
import { createInformer } from '../../../src/client/informer.ts';
import type { ProxyMode } from '../../../src/proxy/backend.ts';
import { NetworkPolicies, openPolicyBackends } from '../../../src/proxy/network-policies.ts';
import { realClock } from '../../../src/util/clock.ts';
import { createLogger } from '../../../src/util/log.ts';
import type { ProxyRequest } from './network-world.ts';

const [mode = 'iptables', syncPeriodMs = '30000'] = process.argv.slice(2);
const TYPES: Record<string, ResourceType<KubeObject>> = {
  NetworkPolicy: NETWORK_POLICIES as ResourceType<KubeObject>,
  Pod: PODS as ResourceType<KubeObject>,
  Namespace: NAMESPACES as ResourceType<KubeObject>,
};
for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) {
  writeFileSync(`/proc/sys/net/${name}`, '1');
}
for (const family of ['iptables', 'ip6tables']) {
  writeFileSync(`/proc/sys/net/bridge/bridge-nf-call-${family}`, '1');
}

const log = createLogger('network-policy', 4);
const client = new FakeClient();
const stop = new AbortController();
let onSynced: (() => void)[] = [];
const backends = await openPolicyBackends(mode as ProxyMode, log);
const policies = new NetworkPolicies(
  {
    policies: createInformer(client, NETWORK_POLICIES),
    pods: createInformer(client, PODS),
    namespaces: createInformer(client, NAMESPACES),
    backends,
    onSynced: () => {
      for (const resolve of onSynced) resolve();
      onSynced = [];
    },
    clock: realClock,
    log,
  },
  { nodeName: 'node-a', syncPeriodMs: Number(syncPeriodMs) },
);
const running = policies.run(stop.signal).catch((err: unknown) => {
  console.error(err);
  process.exit(1);
});

async function apply(objects: readonly KubeObject[]): Promise<void> {
  for (const object of objects) {
    const type = typeOf(object);
    const { namespace = '', name = '' } = object.metadata;
    const key = { namespace, name };
    const known = await client.get(type, key).catch(() => undefined);
    if (!known) await client.create(type, object);
    else {
      const generation = (known.metadata.generation ?? 0) + 1;
      const metadata = { ...known.metadata, ...object.metadata, generation };
      await client.update(type, { ...object, metadata });
    }
    if (!object.status) continue;
    const { metadata } = await client.get(type, key);
    await client.update(type, { ...object, metadata }, { subresource: 'status' });
  }
}

function typeOf({ kind }: KubeObject): ResourceType<KubeObject> {
  const type = TYPES[kind];
  if (!type) throw new Error(`No such kind: ${kind}`);
  return type;
}

async function handle({ op, objects }: ProxyRequest): Promise<unknown> {
  const synced = new Promise<void>((resolve) => onSynced.push(resolve));
  const started = performance.now();
  switch (op) {
    case 'start':
      return undefined; // Runs from the beginning.
    case 'apply':
      return await apply(objects);
    case 'apply-timed':
      await apply(objects);
      await synced;
      return performance.now() - started;
    case 'delete':
      for (const object of objects) {
        const { namespace = '', name = '' } = object.metadata;
        await client.delete(typeOf(object), { namespace, name });
      }
      return await synced;
    case 'cleanup':
      stop.abort();
      await running;
      for (const backend of backends) await backend.cleanup(AbortSignal.timeout(10_000));
      return undefined;
  }
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
