import {
  LEASES,
  NAMESPACES,
  NODES,
  type ResourceType,
  SERVICE_ACCOUNTS,
} from '../../src/api/resource-types.ts';
import { microTimeString } from '../../src/api/times.ts';
import type { Draft, Lease } from '../../src/api/types.ts';
import type { RestClient } from '../../src/client/rest-client.ts';
import { benchNode } from './workloads.ts';

export const NAMESPACE = 'bench';
const AT_ONCE = 64;
const NODE_LEASES = 'kube-node-lease';
/** A lease is good for 40 s. */
const RENEW_MS = 30_000;

export async function manyAtOnce<T>(
  items: Iterable<T>,
  act: (item: T) => Promise<unknown>,
): Promise<void> {
  const rest = items[Symbol.iterator]();
  const worker = async () => {
    for (let next = rest.next(); !next.done; next = rest.next()) await act(next.value);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** Without what only the server may set. */
export function draft<T extends { metadata: { name: string; namespace: string } }>(
  object: T,
): Draft<T> {
  const {
    uid: _,
    resourceVersion: __,
    creationTimestamp: ___,
    ...metadata
  } = object.metadata as Record<string, unknown>;
  return { ...object, metadata } as unknown as Draft<T>;
}

function lease(name: string): Draft<Lease> {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { namespace: NODE_LEASES, name },
    spec: {
      holderIdentity: name,
      leaseDurationSeconds: 40,
      renewTime: microTimeString(Date.now()),
    },
  };
}

/** Nodes as kubelets would keep them: each with a lease that is renewed, evenly spread over time. */
export async function startNodes(client: RestClient, count: number): Promise<() => void> {
  const names = Array.from({ length: count }, (_, i) => benchNode(i));
  await manyAtOnce(names, async (node) => {
    await client.create(NODES, draft({ ...node, metadata: { ...node.metadata, namespace: '' } }));
    await client.create(LEASES, lease(node.metadata.name));
  });
  let next = 0;
  const timer = setInterval(
    () => {
      const name = benchNode(next++ % count).metadata.name;
      const body = { spec: { renewTime: microTimeString(Date.now()) } };
      client
        .patch(LEASES, { namespace: NODE_LEASES, name }, { type: 'merge', body })
        .catch(() => {});
    },
    Math.max(1, RENEW_MS / count),
  );
  return () => clearInterval(timer);
}

export async function createNamespace(client: RestClient): Promise<void> {
  const create = <T>(type: ResourceType<T>, object: object) =>
    client.create(type, object as Draft<T>);
  for (const name of [NAMESPACE, NODE_LEASES]) {
    const made = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
    await create(NAMESPACES, made).catch(() => {}); // one of them may be there already
  }
  const metadata = { name: 'default', namespace: NAMESPACE };
  await create(SERVICE_ACCOUNTS, { apiVersion: 'v1', kind: 'ServiceAccount', metadata });
}
