import type {
  Binding,
  ComponentStatus,
  ConfigMap,
  ControllerRevision,
  CronJob,
  DaemonSet,
  Deployment,
  EndpointSlice,
  Endpoints,
  Event,
  EventsEvent,
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerV1,
  Ingress,
  IngressClass,
  IPAddress,
  Job,
  KubeObject,
  Lease,
  LimitRange,
  Namespace,
  NetworkPolicy,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  PodTemplate,
  ReplicaSet,
  ReplicationController,
  ResourceQuota,
  Secret,
  Service,
  ServiceAccount,
  ServiceCIDR,
  StatefulSet,
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

/** Declares a kind whose objects live in namespaces. */
export function namespaced<T>(
  group: string,
  version: string,
  resource: string,
  kind: string,
): ResourceType<T> {
  return { group, version, resource, kind, namespaced: true };
}

/** Declares a kind whose objects belong to the whole cluster. */
export function cluster<T>(
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
export const LIMIT_RANGES = namespaced<LimitRange>('', 'v1', 'limitranges', 'LimitRange');
export const PERSISTENT_VOLUME_CLAIMS = namespaced<PersistentVolumeClaim>(
  '',
  'v1',
  'persistentvolumeclaims',
  'PersistentVolumeClaim',
);
export const PERSISTENT_VOLUMES = cluster<PersistentVolume>(
  '',
  'v1',
  'persistentvolumes',
  'PersistentVolume',
);
export const POD_TEMPLATES = namespaced<PodTemplate>('', 'v1', 'podtemplates', 'PodTemplate');
export const REPLICATION_CONTROLLERS = namespaced<ReplicationController>(
  '',
  'v1',
  'replicationcontrollers',
  'ReplicationController',
);
export const RESOURCE_QUOTAS = namespaced<ResourceQuota>(
  '',
  'v1',
  'resourcequotas',
  'ResourceQuota',
);
export const COMPONENT_STATUSES = cluster<ComponentStatus>(
  '',
  'v1',
  'componentstatuses',
  'ComponentStatus',
);
export const BINDINGS = namespaced<Binding>('', 'v1', 'bindings', 'Binding');
export const CONTROLLER_REVISIONS = namespaced<ControllerRevision>(
  'apps',
  'v1',
  'controllerrevisions',
  'ControllerRevision',
);
export const DAEMON_SETS = namespaced<DaemonSet>('apps', 'v1', 'daemonsets', 'DaemonSet');
export const STATEFUL_SETS = namespaced<StatefulSet>('apps', 'v1', 'statefulsets', 'StatefulSet');
export const JOBS = namespaced<Job>('batch', 'v1', 'jobs', 'Job');
export const CRON_JOBS = namespaced<CronJob>('batch', 'v1', 'cronjobs', 'CronJob');
export const HORIZONTAL_POD_AUTOSCALERS = namespaced<HorizontalPodAutoscaler>(
  'autoscaling',
  'v2',
  'horizontalpodautoscalers',
  'HorizontalPodAutoscaler',
);
export const HORIZONTAL_POD_AUTOSCALERS_V1 = namespaced<HorizontalPodAutoscalerV1>(
  'autoscaling',
  'v1',
  'horizontalpodautoscalers',
  'HorizontalPodAutoscaler',
);
export const POD_DISRUPTION_BUDGETS = namespaced<PodDisruptionBudget>(
  'policy',
  'v1',
  'poddisruptionbudgets',
  'PodDisruptionBudget',
);
export const INGRESSES = namespaced<Ingress>('networking.k8s.io', 'v1', 'ingresses', 'Ingress');
export const INGRESS_CLASSES = cluster<IngressClass>(
  'networking.k8s.io',
  'v1',
  'ingressclasses',
  'IngressClass',
);
export const IP_ADDRESSES = cluster<IPAddress>(
  'networking.k8s.io',
  'v1',
  'ipaddresses',
  'IPAddress',
);
export const NETWORK_POLICIES = namespaced<NetworkPolicy>(
  'networking.k8s.io',
  'v1',
  'networkpolicies',
  'NetworkPolicy',
);
export const SERVICE_CIDRS = cluster<ServiceCIDR>(
  'networking.k8s.io',
  'v1',
  'servicecidrs',
  'ServiceCIDR',
);
