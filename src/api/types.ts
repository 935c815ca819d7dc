import type {
  CoreV1Event,
  EventsV1Event,
  ResourceV1ResourceClaim,
  V1APIService,
  V1Binding,
  V1beta1ClusterTrustBundle,
  V1beta1StorageVersionMigration,
  V1CertificateSigningRequest,
  V1ClusterRole,
  V1ClusterRoleBinding,
  V1ComponentStatus,
  V1ConfigMap,
  V1Container,
  V1ContainerStatus,
  V1ControllerRevision,
  V1CronJob,
  V1CSIDriver,
  V1CSINode,
  V1CSIStorageCapacity,
  V1CustomResourceDefinition,
  V1DaemonSet,
  V1Deployment,
  V1DeviceClass,
  V1EndpointSlice,
  V1Endpoints,
  V1Eviction,
  V1FlowSchema,
  V1HorizontalPodAutoscaler,
  V1Ingress,
  V1IngressClass,
  V1IPAddress,
  V1Job,
  V1LabelSelector,
  V1Lease,
  V1LimitRange,
  V1LocalSubjectAccessReview,
  V1ManagedFieldsEntry,
  V1MutatingAdmissionPolicy,
  V1MutatingAdmissionPolicyBinding,
  V1MutatingWebhookConfiguration,
  V1Namespace,
  V1NetworkPolicy,
  V1Node,
  V1OwnerReference,
  V1PersistentVolume,
  V1PersistentVolumeClaim,
  V1Pod,
  V1PodDisruptionBudget,
  V1PodSpec,
  V1PodStatus,
  V1PodTemplate,
  V1PodTemplateSpec,
  V1PriorityClass,
  V1PriorityLevelConfiguration,
  V1Probe,
  V1ReplicaSet,
  V1ReplicationController,
  V1ResourceClaimTemplate,
  V1ResourceQuota,
  V1ResourceRequirements,
  V1ResourceSlice,
  V1Role,
  V1RoleBinding,
  V1RuntimeClass,
  V1Secret,
  V1SelfSubjectAccessReview,
  V1SelfSubjectReview,
  V1SelfSubjectRulesReview,
  V1Service,
  V1ServiceAccount,
  V1ServiceCIDR,
  V1StatefulSet,
  V1StorageClass,
  V1SubjectAccessReview,
  V1TokenReview,
  V1ValidatingAdmissionPolicy,
  V1ValidatingAdmissionPolicyBinding,
  V1ValidatingWebhookConfiguration,
  V1Volume,
  V1VolumeAttachment,
  V1VolumeAttributesClass,
  V2HorizontalPodAutoscaler,
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

/** What a metadata-only read answers: any object without its spec, data and status. */
export interface PartialObject {
  apiVersion: string;
  kind: string;
  metadata: StoredMeta;
}

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

export type LimitRange = Stored<V1LimitRange>;
export type PersistentVolumeClaim = Stored<V1PersistentVolumeClaim>;
export type PersistentVolume = Stored<V1PersistentVolume>;
export type PodTemplate = Stored<V1PodTemplate>;
export type ReplicationController = Stored<V1ReplicationController>;
export type ResourceQuota = Stored<V1ResourceQuota>;
export type ComponentStatus = Stored<V1ComponentStatus>;
export type Binding = Stored<V1Binding>;
export type Eviction = Stored<V1Eviction>;
export type ControllerRevision = Stored<V1ControllerRevision>;
export type DaemonSet = Stored<V1DaemonSet>;
export type StatefulSet = Stored<V1StatefulSet>;
export type Job = Stored<V1Job>;
export type CronJob = Stored<V1CronJob>;
export type HorizontalPodAutoscaler = Stored<V2HorizontalPodAutoscaler>;
export type HorizontalPodAutoscalerV1 = Stored<V1HorizontalPodAutoscaler>;
export type PodDisruptionBudget = Stored<V1PodDisruptionBudget>;
export type Ingress = Stored<V1Ingress>;
export type IngressClass = Stored<V1IngressClass>;
export type IPAddress = Stored<V1IPAddress>;
export type NetworkPolicy = Stored<V1NetworkPolicy>;
export type ServiceCIDR = Stored<V1ServiceCIDR>;
export type ClusterRole = Stored<V1ClusterRole>;
export type ClusterRoleBinding = Stored<V1ClusterRoleBinding>;
export type Role = Stored<V1Role>;
export type RoleBinding = Stored<V1RoleBinding>;
export type CSIDriver = Stored<V1CSIDriver>;
export type CSINode = Stored<V1CSINode>;
export type CSIStorageCapacity = Stored<V1CSIStorageCapacity>;
export type StorageClass = Stored<V1StorageClass>;
export type VolumeAttachment = Stored<V1VolumeAttachment>;
export type VolumeAttributesClass = Stored<V1VolumeAttributesClass>;
export type StorageVersionMigration = Stored<V1beta1StorageVersionMigration>;
export type PriorityClass = Stored<V1PriorityClass>;
export type RuntimeClass = Stored<V1RuntimeClass>;
export type CertificateSigningRequest = Stored<V1CertificateSigningRequest>;
export type ClusterTrustBundle = Stored<V1beta1ClusterTrustBundle>;
export type MutatingAdmissionPolicy = Stored<V1MutatingAdmissionPolicy>;
export type MutatingAdmissionPolicyBinding = Stored<V1MutatingAdmissionPolicyBinding>;
export type MutatingWebhookConfiguration = Stored<V1MutatingWebhookConfiguration>;
export type ValidatingAdmissionPolicy = Stored<V1ValidatingAdmissionPolicy>;
export type ValidatingAdmissionPolicyBinding = Stored<V1ValidatingAdmissionPolicyBinding>;
export type ValidatingWebhookConfiguration = Stored<V1ValidatingWebhookConfiguration>;
export type CustomResourceDefinition = Stored<V1CustomResourceDefinition>;
export type APIService = Stored<V1APIService>;
export type FlowSchema = Stored<V1FlowSchema>;
export type PriorityLevelConfiguration = Stored<V1PriorityLevelConfiguration>;
export type DeviceClass = Stored<V1DeviceClass>;
export type ResourceClaim = Stored<ResourceV1ResourceClaim>;
export type ResourceClaimTemplate = Stored<V1ResourceClaimTemplate>;
export type ResourceSlice = Stored<V1ResourceSlice>;
export type SelfSubjectReview = Stored<V1SelfSubjectReview>;
export type TokenReview = Stored<V1TokenReview>;
export type LocalSubjectAccessReview = Stored<V1LocalSubjectAccessReview>;
export type SelfSubjectAccessReview = Stored<V1SelfSubjectAccessReview>;
export type SelfSubjectRulesReview = Stored<V1SelfSubjectRulesReview>;
export type SubjectAccessReview = Stored<V1SubjectAccessReview>;
