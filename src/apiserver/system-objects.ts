import { isAlreadyExists } from '../api/errors.ts';
import type { KubeObject } from '../api/types.ts';
import type { Clock } from '../util/clock.ts';
import { timestamp } from './before-write.ts';
import type { KindRegistry } from './kind-registry.ts';
import type { UserInfo, WriteContext } from './resource-kind.ts';
import type { ResourceStore } from './resource-store.ts';

const SYSTEM_NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];
const LOOPBACK_USER: UserInfo = { name: 'system:apiserver', groups: ['system:masters'] };

export interface SystemObjectDeps {
  readonly kinds: KindRegistry;
  readonly store: ResourceStore;
  readonly clock: Clock;
}

/** Creates what every cluster has from its first moment: namespaces, priority classes, the range of Services. */
export async function ensureSystemObjects(
  deps: SystemObjectDeps,
  options: { readonly serviceRanges: readonly string[] },
): Promise<void> {
  const context = systemContext(deps.clock.now());
  for (const name of SYSTEM_NAMESPACES) {
    await ensure(deps, { group: '', resource: 'namespaces' }, namespace(name), context);
  }
  for (const object of PRIORITY_CLASSES) {
    const type = { group: 'scheduling.k8s.io', resource: 'priorityclasses' };
    await ensure(deps, type, structuredClone(object), context);
  }
  await ensureServiceRange(deps, options.serviceRanges, context);
}

/** How the API server itself writes. */
export function systemContext(now: number): WriteContext {
  return { user: LOOPBACK_USER, dryRun: false, now, warn: () => {} };
}

function namespace(name: string): KubeObject {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
}

function priorityClass(name: string, value: number, description: string): KubeObject {
  return {
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name },
    value,
    preemptionPolicy: 'PreemptLowerPriority',
    description,
  };
}

const PRIORITY_CLASSES = [
  priorityClass(
    'system-node-critical',
    2_000_001_000,
    'Used for system critical pods that must not be moved from their current node.',
  ),
  priorityClass(
    'system-cluster-critical',
    2_000_000_000,
    'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  ),
];

async function ensureServiceRange(
  deps: SystemObjectDeps,
  cidrs: readonly string[],
  context: WriteContext,
): Promise<void> {
  const kind = deps.kinds.get('networking.k8s.io', 'v1', 'servicecidrs');
  if (!kind || (await deps.store.find(kind, { namespace: '', name: 'kubernetes' }))) return;
  const object: KubeObject = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'ServiceCIDR',
    metadata: { name: 'kubernetes' },
    spec: { cidrs },
  };
  await ensure(deps, kind, object, context);
  const ready = {
    type: 'Ready',
    status: 'True',
    reason: '',
    message: 'Kubernetes default Service CIDR is ready',
    lastTransitionTime: timestamp(context.now),
  };
  const change = (current: KubeObject): KubeObject =>
    Object.assign(current, { status: { conditions: [ready] } });
  const update = { strategy: {}, subresource: 'status', change };
  await deps.store.update(kind, { namespace: '', name: 'kubernetes' }, update, context);
}

async function ensure(
  { kinds, store }: SystemObjectDeps,
  type: { group: string; resource: string },
  object: KubeObject,
  context: WriteContext,
): Promise<void> {
  const kind = kinds.get(type.group, 'v1', type.resource);
  if (!kind) return;
  const { name = '', namespace = '' } = object.metadata;
  if (await store.find(kind, { name, namespace })) return;
  kind.strategy.default?.(object);
  await store.create(kind, object, context).catch((err) => {
    if (!isAlreadyExists(err)) throw err;
  });
}
