// The enforcement of network policies without an API server: objects come in as lines of JSON.
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import {
  NAMESPACES,
  NETWORK_POLICIES,
  type ObjectKey,
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
import { Runs } from './runs.ts';

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
const runs = new Runs();
const informers = {
  NetworkPolicy: createInformer(client, NETWORK_POLICIES),
  Pod: createInformer(client, PODS),
  Namespace: createInformer(client, NAMESPACES),
};
// Each run begins with the question which policies there are.
const { NetworkPolicy: listed } = informers;
const list = listed.list.bind(listed);
let succeeded = () => {};
listed.list = (namespace) => {
  succeeded = runs.begin();
  return list(namespace);
};
const backends = await openPolicyBackends(mode as ProxyMode, log);
const policies = new NetworkPolicies(
  {
    policies: informers.NetworkPolicy,
    pods: informers.Pod,
    namespaces: informers.Namespace,
    backends,
    onSynced: () => succeeded(),
    clock: realClock,
    log,
  },
  { nodeName: 'node-a', syncPeriodMs: Number(syncPeriodMs) },
);
const running = policies.run(stop.signal).catch((err: unknown) => {
  console.error(err);
  process.exit(1);
});

/** As they were written. */
async function apply(objects: readonly KubeObject[]): Promise<KubeObject[]> {
  return await Promise.all(objects.map(applyOne));
}

async function applyOne(object: KubeObject): Promise<KubeObject> {
  const type = typeOf(object);
  const key = keyOf(object);
  const known = await client.get(type, key).catch(() => undefined);
  const generation = (known?.metadata.generation ?? 0) + 1;
  const metadata = { ...known?.metadata, ...object.metadata, generation };
  const written = known
    ? await client.update(type, { ...object, metadata })
    : await client.create(type, object);
  if (!object.status) return written;
  const status = { ...object, metadata: written.metadata };
  return await client.update(type, status, { subresource: 'status' });
}

function typeOf({ kind }: KubeObject): ResourceType<KubeObject> {
  const type = TYPES[kind];
  if (!type) throw new Error(`No such kind: ${kind}`);
  return type;
}

function keyOf({ metadata: { namespace = '', name = '' } }: KubeObject): ObjectKey {
  return { namespace, name };
}

/** The revision of an object that the enforcement knows of. */
function revisionSeen(object: KubeObject): string | undefined {
  const informer = informers[object.kind as keyof typeof informers];
  return informer.get(keyOf(object))?.metadata.resourceVersion;
}

async function handle({ op, objects }: ProxyRequest): Promise<unknown> {
  const started = performance.now();
  switch (op) {
    case 'start':
      return undefined; // Runs from the beginning.
    case 'apply':
      await apply(objects);
      return undefined;
    case 'apply-timed': {
      const written = await apply(objects);
      await runs.since(() =>
        written.every((object) => revisionSeen(object) === object.metadata.resourceVersion),
      );
      return performance.now() - started;
    }
    case 'delete':
      for (const object of objects) await client.delete(typeOf(object), keyOf(object));
      return await runs.since(() => objects.every((object) => revisionSeen(object) === undefined));
    case 'cleanup':
      stop.abort();
      await running;
      for (const backend of backends) await backend.cleanup(AbortSignal.timeout(60_000));
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
