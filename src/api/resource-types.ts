import type {
  ConfigMap,
  Deployment,
  EndpointSlice,
  Endpoints,
  Event,
  EventsEvent,
  KubeObject,
  Lease,
  Namespace,
  Node,
  Pod,
  ReplicaSet,
  Secret,
  Service,
  ServiceAccount,
} from './types.ts';

/** Where a kind lives in the API, and (as a phantom) the TypeScript type of its objects. */
export interface ResourceType<T = KubeObject> {
  /** The API group; empty for the core group. */
  readonly group: string;
  readonly version: string;
  /** The plural in the path: `pods`. */
  readonly resource: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Never set; carries the object type. */
  readonly object?: T;
}

/** What names one object of a known kind. `namespace` is empty for cluster-scoped kinds. */
export interface ObjectKey {
  readonly namespace: string;
  readonly name: string;
}

/** `group/version`, or just the version for the core group: the wire's `apiVersion`. */
export function apiVersionOf(type: { group: string; version: string }): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}

/** `NAMESPACE/NAME`, or `NAME` where there is no namespace. */
export function keyString(key: ObjectKey): string {
  return key.namespace === '' ? key.name : `${key.namespace}/${key.name}`;
}

/** The inverse of `keyString`. */
export function parseKey(text: string): ObjectKey {
  const slash = text.indexOf('/');
  if (slash < 0) return { namespace: '', name: text };
  return { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}

function namespaced<T>(
  group: string,
  version: string,
  resource: string,
  kind: string,
): ResourceType<T> {
  return { group, version, resource, kind, namespaced: true };
}

function cluster<T>(
  group: string,
  version: string,
  resource: string,
  kind: string,
): ResourceType<T> {
  return { group, version, resource, kind, namespaced: false };
}

export const CONFIG_MAPS = namespaced<ConfigMap>('', 'v1', 'configmaps', 'ConfigMap');
export const ENDPOINTS = namespaced<Endpoints>('', 'v1', 'endpoints', 'Endpoints');
export const EVENTS = namespaced<Event>('', 'v1', 'events', 'Event');
/** The same stored objects as `EVENTS`. */
export const EVENTS_V1 = namespaced<EventsEvent>('events.k8s.io', 'v1', 'events', 'Event');
export const NAMESPACES = cluster<Namespace>('', 'v1', 'namespaces', 'Namespace');
export const NODES = cluster<Node>('', 'v1', 'nodes', 'Node');
export const PODS = namespaced<Pod>('', 'v1', 'pods', 'Pod');
export const SECRETS = namespaced<Secret>('', 'v1', 'secrets', 'Secret');
export const SERVICES = namespaced<Service>('', 'v1', 'services', 'Service');
export const SERVICE_ACCOUNTS = namespaced<ServiceAccount>(
  '',
  'v1',
  'serviceaccounts',
  'ServiceAccount',
);
export const DEPLOYMENTS = namespaced<Deployment>('apps', 'v1', 'deployments', 'Deployment');
export const REPLICA_SETS = namespaced<ReplicaSet>('apps', 'v1', 'replicasets', 'ReplicaSet');
export const ENDPOINT_SLICES = namespaced<EndpointSlice>(
  'discovery.k8s.io',
  'v1',
  'endpointslices',
  'EndpointSlice',
);
export const LEASES = namespaced<Lease>('coordination.k8s.io', 'v1', 'leases', 'Lease');
