// Kinds that configure the cluster rather than run in it; the others are in resource-types.ts.
import { cluster, namespaced } from './resource-types.ts';
import type {
  APIService,
  CertificateSigningRequest,
  ClusterRole,
  ClusterRoleBinding,
  ClusterTrustBundle,
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  CustomResourceDefinition,
  DeviceClass,
  FlowSchema,
  LocalSubjectAccessReview,
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  MutatingWebhookConfiguration,
  PriorityClass,
  PriorityLevelConfiguration,
  ResourceClaim,
  ResourceClaimTemplate,
  ResourceSlice,
  Role,
  RoleBinding,
  RuntimeClass,
  SelfSubjectAccessReview,
  SelfSubjectReview,
  SelfSubjectRulesReview,
  StorageClass,
  StorageVersionMigration,
  SubjectAccessReview,
  TokenReview,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
  VolumeAttachment,
  VolumeAttributesClass,
} from './types.ts';

export const CLUSTER_ROLES = cluster<ClusterRole>(
  'rbac.authorization.k8s.io',
  'v1',
  'clusterroles',
  'ClusterRole',
);
export const CLUSTER_ROLE_BINDINGS = cluster<ClusterRoleBinding>(
  'rbac.authorization.k8s.io',
  'v1',
  'clusterrolebindings',
  'ClusterRoleBinding',
);
export const ROLES = namespaced<Role>('rbac.authorization.k8s.io', 'v1', 'roles', 'Role');
export const ROLE_BINDINGS = namespaced<RoleBinding>(
  'rbac.authorization.k8s.io',
  'v1',
  'rolebindings',
  'RoleBinding',
);
export const CSI_DRIVERS = cluster<CSIDriver>('storage.k8s.io', 'v1', 'csidrivers', 'CSIDriver');
export const CSI_NODES = cluster<CSINode>('storage.k8s.io', 'v1', 'csinodes', 'CSINode');
export const CSI_STORAGE_CAPACITIES = namespaced<CSIStorageCapacity>(
  'storage.k8s.io',
  'v1',
  'csistoragecapacities',
  'CSIStorageCapacity',
);
export const STORAGE_CLASSES = cluster<StorageClass>(
  'storage.k8s.io',
  'v1',
  'storageclasses',
  'StorageClass',
);
export const VOLUME_ATTACHMENTS = cluster<VolumeAttachment>(
  'storage.k8s.io',
  'v1',
  'volumeattachments',
  'VolumeAttachment',
);
export const VOLUME_ATTRIBUTES_CLASSES = cluster<VolumeAttributesClass>(
  'storage.k8s.io',
  'v1',
  'volumeattributesclasses',
  'VolumeAttributesClass',
);
export const STORAGE_VERSION_MIGRATIONS = cluster<StorageVersionMigration>(
  'storagemigration.k8s.io',
  'v1beta1',
  'storageversionmigrations',
  'StorageVersionMigration',
);
export const PRIORITY_CLASSES = cluster<PriorityClass>(
  'scheduling.k8s.io',
  'v1',
  'priorityclasses',
  'PriorityClass',
);
export const RUNTIME_CLASSES = cluster<RuntimeClass>(
  'node.k8s.io',
  'v1',
  'runtimeclasses',
  'RuntimeClass',
);
export const CERTIFICATE_SIGNING_REQUESTS = cluster<CertificateSigningRequest>(
  'certificates.k8s.io',
  'v1',
  'certificatesigningrequests',
  'CertificateSigningRequest',
);
export const CLUSTER_TRUST_BUNDLES = cluster<ClusterTrustBundle>(
  'certificates.k8s.io',
  'v1beta1',
  'clustertrustbundles',
  'ClusterTrustBundle',
);
export const MUTATING_ADMISSION_POLICIES = cluster<MutatingAdmissionPolicy>(
  'admissionregistration.k8s.io',
  'v1',
  'mutatingadmissionpolicies',
  'MutatingAdmissionPolicy',
);
export const MUTATING_ADMISSION_POLICY_BINDINGS = cluster<MutatingAdmissionPolicyBinding>(
  'admissionregistration.k8s.io',
  'v1',
  'mutatingadmissionpolicybindings',
  'MutatingAdmissionPolicyBinding',
);
export const MUTATING_WEBHOOK_CONFIGURATIONS = cluster<MutatingWebhookConfiguration>(
  'admissionregistration.k8s.io',
  'v1',
  'mutatingwebhookconfigurations',
  'MutatingWebhookConfiguration',
);
export const VALIDATING_ADMISSION_POLICIES = cluster<ValidatingAdmissionPolicy>(
  'admissionregistration.k8s.io',
  'v1',
  'validatingadmissionpolicies',
  'ValidatingAdmissionPolicy',
);
export const VALIDATING_ADMISSION_POLICY_BINDINGS = cluster<ValidatingAdmissionPolicyBinding>(
  'admissionregistration.k8s.io',
  'v1',
  'validatingadmissionpolicybindings',
  'ValidatingAdmissionPolicyBinding',
);
export const VALIDATING_WEBHOOK_CONFIGURATIONS = cluster<ValidatingWebhookConfiguration>(
  'admissionregistration.k8s.io',
  'v1',
  'validatingwebhookconfigurations',
  'ValidatingWebhookConfiguration',
);
export const CUSTOM_RESOURCE_DEFINITIONS = cluster<CustomResourceDefinition>(
  'apiextensions.k8s.io',
  'v1',
  'customresourcedefinitions',
  'CustomResourceDefinition',
);
export const API_SERVICES = cluster<APIService>(
  'apiregistration.k8s.io',
  'v1',
  'apiservices',
  'APIService',
);
export const FLOW_SCHEMAS = cluster<FlowSchema>(
  'flowcontrol.apiserver.k8s.io',
  'v1',
  'flowschemas',
  'FlowSchema',
);
export const PRIORITY_LEVEL_CONFIGURATIONS = cluster<PriorityLevelConfiguration>(
  'flowcontrol.apiserver.k8s.io',
  'v1',
  'prioritylevelconfigurations',
  'PriorityLevelConfiguration',
);
export const DEVICE_CLASSES = cluster<DeviceClass>(
  'resource.k8s.io',
  'v1',
  'deviceclasses',
  'DeviceClass',
);
export const RESOURCE_CLAIMS = namespaced<ResourceClaim>(
  'resource.k8s.io',
  'v1',
  'resourceclaims',
  'ResourceClaim',
);
export const RESOURCE_CLAIM_TEMPLATES = namespaced<ResourceClaimTemplate>(
  'resource.k8s.io',
  'v1',
  'resourceclaimtemplates',
  'ResourceClaimTemplate',
);
export const RESOURCE_SLICES = cluster<ResourceSlice>(
  'resource.k8s.io',
  'v1',
  'resourceslices',
  'ResourceSlice',
);
export const SELF_SUBJECT_REVIEWS = cluster<SelfSubjectReview>(
  'authentication.k8s.io',
  'v1',
  'selfsubjectreviews',
  'SelfSubjectReview',
);
export const TOKEN_REVIEWS = cluster<TokenReview>(
  'authentication.k8s.io',
  'v1',
  'tokenreviews',
  'TokenReview',
);
export const LOCAL_SUBJECT_ACCESS_REVIEWS = namespaced<LocalSubjectAccessReview>(
  'authorization.k8s.io',
  'v1',
  'localsubjectaccessreviews',
  'LocalSubjectAccessReview',
);
export const SELF_SUBJECT_ACCESS_REVIEWS = cluster<SelfSubjectAccessReview>(
  'authorization.k8s.io',
  'v1',
  'selfsubjectaccessreviews',
  'SelfSubjectAccessReview',
);
export const SELF_SUBJECT_RULES_REVIEWS = cluster<SelfSubjectRulesReview>(
  'authorization.k8s.io',
  'v1',
  'selfsubjectrulesreviews',
  'SelfSubjectRulesReview',
);
export const SUBJECT_ACCESS_REVIEWS = cluster<SubjectAccessReview>(
  'authorization.k8s.io',
  'v1',
  'subjectaccessreviews',
  'SubjectAccessReview',
);
