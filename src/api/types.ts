import type {
  CoreV1Event,
  EventsV1Event,
  V1ConfigMap,
  V1Container,
  V1ContainerStatus,
  V1Deployment,
  V1EndpointSlice,
  V1Endpoints,
  V1LabelSelector,
  V1Lease,
  V1ManagedFieldsEntry,
  V1Namespace,
  V1Node,
  V1OwnerReference,
  V1Pod,
  V1PodSpec,
  V1PodStatus,
  V1PodTemplateSpec,
  V1Probe,
  V1ReplicaSet,
  V1ResourceRequirements,
  V1Secret,
  V1Service,
  V1ServiceAccount,
  V1Volume,
} from '@kubernetes/client-node';

type WireName<K> = K extends '_continue'
  ? 'continue'
  : K extends '_default'
    ? 'default'
    : K extends '_from'
      ? 'from'
      : K extends '_enum'
        ? 'enum'
        : K extends '_not'
          ? 'not'
          : K;

/**
 * The generated client's types as they are on the wire: times are RFC 3339 strings and names are the
 * original ones. Optional fields may also hold `undefined`, which JSON leaves out.
 */
export type Wire<T> = T extends Date
  ? string
  : T extends readonly (infer E)[]
    ? Wire<E>[]
    : T extends object
      ? {
          [K in keyof T as WireName<K>]: string extends K
            ? Wire<T[K]>
            : Record<string, never> extends Pick<T, K>
              ? Wire<T[K]> | undefined
              : Wire<T[K]>;
        }
      : T;

/** `metadata` of an object (ObjectMeta v1). What the server fills in is optional here; see `Stored`. */
export interface ObjectMeta {
  name?: string;
  generateName?: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
  managedFields?: Wire<V1ManagedFieldsEntry>[];
  selfLink?: string;
}

/** `metadata` as the server answers it. `namespace` is the empty string for cluster-scoped objects in typed code. */
export interface StoredMeta extends ObjectMeta {
  name: string;
  namespace: string;
  uid: string;
  resourceVersion: string;
  creationTimestamp: string;
}

/** Any API object, as JSON. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  [field: string]: unknown;
}

/** An object as the API server answers it. */
export type Stored<T> = Omit<Wire<T>, 'apiVersion' | 'kind' | 'metadata'> & {
  apiVersion: string;
  kind: string;
  metadata: StoredMeta;
};

/** An object to be created: the server fills in the rest of the metadata. */
export type Draft<S> = Omit<S, 'metadata'> & { metadata: ObjectMeta };

export interface List<T> {
  apiVersion: string;
  kind: string;
  metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number };
  items: T[];
}

/** One line of a watch. BOOKMARK carries only a resourceVersion; ERROR carries a Status. */
export interface WatchEvent<T> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  object: T;
}

export type OwnerReference = Wire<V1OwnerReference>;
export type LabelSelector = Wire<V1LabelSelector>;
export type Container = Wire<V1Container>;
export type ContainerStatus = Wire<V1ContainerStatus>;
export type PodSpec = Wire<V1PodSpec>;
export type PodStatus = Wire<V1PodStatus>;
export type PodTemplateSpec = Wire<V1PodTemplateSpec>;
export type Probe = Wire<V1Probe>;
export type ResourceRequirements = Wire<V1ResourceRequirements>;
export type Volume = Wire<V1Volume>;

export type ConfigMap = Stored<V1ConfigMap>;
export type Deployment = Stored<V1Deployment>;
export type Endpoints = Stored<V1Endpoints>;
export type EndpointSlice = Stored<V1EndpointSlice>;
export type Event = Stored<CoreV1Event>;
/** The same stored object as `Event`, as events.k8s.io/v1 shows it. */
export type EventsEvent = Stored<EventsV1Event>;
export type Lease = Stored<V1Lease>;
export type Namespace = Stored<V1Namespace>;
export type Node = Stored<V1Node>;
export type Pod = Stored<V1Pod>;
export type ReplicaSet = Stored<V1ReplicaSet>;
export type Secret = Stored<V1Secret>;
export type Service = Stored<V1Service>;
export type ServiceAccount = Stored<V1ServiceAccount>;
