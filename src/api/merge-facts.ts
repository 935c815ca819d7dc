/** What the OpenAPI document says of one field in its x-kubernetes-* extensions. */
export interface MergeFact {
  readonly listType?: 'atomic' | 'set' | 'map';
  readonly listMapKeys?: readonly string[];
  readonly mapType?: 'atomic' | 'granular';
  readonly patchStrategy?: string;
  readonly patchMergeKey?: string;
}

const ATOMIC: MergeFact = { listType: 'atomic' };
const SET: MergeFact = { listType: 'set' };
const MERGED_SET: MergeFact = { listType: 'set', patchStrategy: 'merge' };

/** A list whose items are told apart by `keys` (comma-joined), by server-side apply only. */
function keyed(keys: string): MergeFact {
  return { listType: 'map', listMapKeys: keys.split(',') };
}

/** The same for strategic merge patch too, which knows only one key. */
function merged(patchMergeKey: string, keys = patchMergeKey): MergeFact {
  return { ...keyed(keys), patchStrategy: 'merge', patchMergeKey };
}

/** Fields that merge in another way than their type alone says. Lists that are not here are atomic. */
const FIELDS: Readonly<Record<string, MergeFact>> = {
  // Bytes that upstream's document calls a list.
  'apiregistration.v1.APIServiceSpec.caBundle': ATOMIC,
  'admissionregistration.v1.MutatingAdmissionPolicySpec.matchConditions': merged('name'),
  'admissionregistration.v1.MutatingWebhook.matchConditions': merged('name'),
  'admissionregistration.v1.MutatingWebhookConfiguration.webhooks': merged('name'),
  'admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec.validationActions': SET,
  'admissionregistration.v1.ValidatingAdmissionPolicySpec.matchConditions': merged('name'),
  'admissionregistration.v1.ValidatingAdmissionPolicySpec.variables': merged('name'),
  'admissionregistration.v1.ValidatingAdmissionPolicyStatus.conditions': keyed('type'),
  'admissionregistration.v1.ValidatingWebhook.matchConditions': merged('name'),
  'admissionregistration.v1.ValidatingWebhookConfiguration.webhooks': merged('name'),
  'admissionregistration.v1alpha1.MutatingAdmissionPolicySpec.matchConditions': merged('name'),
  'admissionregistration.v1beta1.MutatingAdmissionPolicySpec.matchConditions': merged('name'),
  'apiextensions.v1.CustomResourceDefinitionStatus.conditions': keyed('type'),
  'apiextensions.v1.JSONSchemaProps.x-kubernetes-validations': merged('rule'),
  'apiregistration.v1.APIServiceStatus.conditions': merged('type'),
  'apiserverinternal.v1alpha1.ServerStorageVersion.decodableVersions': SET,
  'apiserverinternal.v1alpha1.ServerStorageVersion.servedVersions': SET,
  'apiserverinternal.v1alpha1.StorageVersionStatus.conditions': keyed('type'),
  'apiserverinternal.v1alpha1.StorageVersionStatus.storageVersions': keyed('apiServerID'),
  'apps.v1.DaemonSetStatus.conditions': merged('type'),
  'apps.v1.DeploymentSpec.strategy': { patchStrategy: 'retainKeys' },
  'apps.v1.DeploymentStatus.conditions': merged('type'),
  'apps.v1.ReplicaSetStatus.conditions': merged('type'),
  'apps.v1.StatefulSetStatus.conditions': merged('type'),
  'autoscaling.v2.HorizontalPodAutoscalerStatus.conditions': merged('type'),
  'batch.v1.JobStatus.conditions': {
    listType: 'atomic',
    patchStrategy: 'merge',
    patchMergeKey: 'type',
  },
  'batch.v1.PodFailurePolicyOnExitCodesRequirement.values': SET,
  'batch.v1.UncountedTerminatedPods.failed': SET,
  'batch.v1.UncountedTerminatedPods.succeeded': SET,
  'certificates.v1.CertificateSigningRequestStatus.conditions': keyed('type'),
  'certificates.v1beta1.PodCertificateRequestStatus.conditions': merged('type'),
  'core.v1.ComponentStatus.conditions': merged('type'),
  'core.v1.Container.env': merged('name'),
  'core.v1.Container.ports': merged('containerPort', 'containerPort,protocol'),
  'core.v1.Container.volumeDevices': merged('devicePath'),
  'core.v1.Container.volumeMounts': merged('mountPath'),
  'core.v1.ContainerRestartRuleOnExitCodes.values': SET,
  'core.v1.ContainerStatus.allocatedResourcesStatus': merged('name'),
  'core.v1.ContainerStatus.volumeMounts': merged('mountPath'),
  'core.v1.EphemeralContainer.env': merged('name'),
  'core.v1.EphemeralContainer.ports': merged('containerPort', 'containerPort,protocol'),
  'core.v1.EphemeralContainer.volumeDevices': merged('devicePath'),
  'core.v1.EphemeralContainer.volumeMounts': merged('mountPath'),
  'core.v1.NamespaceStatus.conditions': merged('type'),
  'core.v1.NodeAllocatableResourceClaimStatus.containers': SET,
  'core.v1.NodeSpec.podCIDRs': MERGED_SET,
  'core.v1.NodeStatus.addresses': merged('type'),
  'core.v1.NodeStatus.conditions': merged('type'),
  'core.v1.PersistentVolumeClaimStatus.conditions': merged('type'),
  'core.v1.PodSpec.containers': merged('name'),
  'core.v1.PodSpec.ephemeralContainers': merged('name'),
  'core.v1.PodSpec.hostAliases': merged('ip'),
  'core.v1.PodSpec.imagePullSecrets': merged('name'),
  'core.v1.PodSpec.initContainers': merged('name'),
  'core.v1.PodSpec.resourceClaims': { ...merged('name'), patchStrategy: 'merge,retainKeys' },
  'core.v1.PodSpec.schedulingGates': merged('name'),
  'core.v1.PodSpec.topologySpreadConstraints': merged(
    'topologyKey',
    'topologyKey,whenUnsatisfiable',
  ),
  'core.v1.PodSpec.volumes': { ...merged('name'), patchStrategy: 'merge,retainKeys' },
  'core.v1.PodStatus.conditions': merged('type'),
  'core.v1.PodStatus.hostIPs': { listType: 'atomic', patchStrategy: 'merge', patchMergeKey: 'ip' },
  'core.v1.PodStatus.podIPs': merged('ip'),
  'core.v1.PodStatus.resourceClaimStatuses': {
    ...merged('name'),
    patchStrategy: 'merge,retainKeys',
  },
  'core.v1.ReplicationControllerStatus.conditions': merged('type'),
  'core.v1.ResourceRequirements.claims': keyed('name'),
  'core.v1.ResourceStatus.resources': keyed('resourceID'),
  'core.v1.ServiceAccount.secrets': merged('name'),
  'core.v1.ServiceSpec.ports': merged('port', 'port,protocol'),
  'core.v1.ServiceStatus.conditions': merged('type'),
  'discovery.v1.Endpoint.addresses': SET,
  'flowcontrol.v1.FlowSchemaStatus.conditions': merged('type'),
  'flowcontrol.v1.NonResourcePolicyRule.nonResourceURLs': SET,
  'flowcontrol.v1.NonResourcePolicyRule.verbs': SET,
  'flowcontrol.v1.PriorityLevelConfigurationStatus.conditions': merged('type'),
  'flowcontrol.v1.ResourcePolicyRule.apiGroups': SET,
  'flowcontrol.v1.ResourcePolicyRule.namespaces': SET,
  'flowcontrol.v1.ResourcePolicyRule.resources': SET,
  'flowcontrol.v1.ResourcePolicyRule.verbs': SET,
  'meta.v1.ObjectMeta.finalizers': MERGED_SET,
  'meta.v1.ObjectMeta.ownerReferences': merged('uid'),
  'networking.v1.ServiceCIDRStatus.conditions': merged('type'),
  'networking.v1beta1.ServiceCIDRStatus.conditions': merged('type'),
  'policy.v1.PodDisruptionBudgetSpec.selector': { patchStrategy: 'replace' },
  'policy.v1.PodDisruptionBudgetStatus.conditions': merged('type'),
  'resource.v1.AllocatedDeviceStatus.conditions': keyed('type'),
  'resource.v1.ResourceClaimStatus.devices': keyed('driver,device,pool,shareID'),
  'resource.v1.ResourceClaimStatus.reservedFor': merged('uid'),
  'resource.v1alpha3.DeviceTaintRuleStatus.conditions': merged('type'),
  'resource.v1alpha3.ResourcePoolStatusRequestStatus.conditions': merged('type'),
  'resource.v1beta1.AllocatedDeviceStatus.conditions': keyed('type'),
  'resource.v1beta1.ResourceClaimStatus.devices': keyed('driver,device,pool,shareID'),
  'resource.v1beta1.ResourceClaimStatus.reservedFor': merged('uid'),
  'resource.v1beta2.AllocatedDeviceStatus.conditions': keyed('type'),
  'resource.v1beta2.DeviceTaintRuleStatus.conditions': merged('type'),
  'resource.v1beta2.ResourceClaimStatus.devices': keyed('driver,device,pool,shareID'),
  'resource.v1beta2.ResourceClaimStatus.reservedFor': merged('uid'),
  'scheduling.v1alpha2.PodGroupSpec.resourceClaims': {
    ...merged('name'),
    patchStrategy: 'merge,retainKeys',
  },
  'scheduling.v1alpha2.PodGroupStatus.conditions': merged('type'),
  'scheduling.v1alpha2.PodGroupStatus.resourceClaimStatuses': {
    ...merged('name'),
    patchStrategy: 'merge,retainKeys',
  },
  'scheduling.v1alpha2.PodGroupTemplate.resourceClaims': {
    ...merged('name'),
    patchStrategy: 'merge,retainKeys',
  },
  'scheduling.v1alpha2.WorkloadSpec.podGroupTemplates': keyed('name'),
  'storage.v1.CSIDriverSpec.volumeLifecycleModes': SET,
  'storage.v1.CSINodeSpec.drivers': merged('name'),
  'storagemigration.v1beta1.StorageVersionMigrationStatus.conditions': merged('type'),
  'core.v1.PersistentVolumeClaimStatus.allocatedResourceStatuses': { mapType: 'granular' },
  'core.v1.PersistentVolumeSpec.claimRef': { mapType: 'granular' },
  'core.v1.PodSpec.nodeSelector': { mapType: 'atomic' },
  'core.v1.ReplicationControllerSpec.selector': { mapType: 'atomic' },
  'core.v1.ServiceSpec.selector': { mapType: 'atomic' },
  'node.v1.Scheduling.nodeSelector': { mapType: 'atomic' },
};

/** Objects that are owned and replaced as one (x-kubernetes-map-type: atomic on the definition). */
const ATOMIC_OBJECTS: ReadonlySet<string> = new Set([
  'admissionregistration.v1.MatchResources',
  'admissionregistration.v1.NamedRuleWithOperations',
  'admissionregistration.v1.ParamKind',
  'admissionregistration.v1.ParamRef',
  'admissionregistration.v1.Variable',
  'admissionregistration.v1alpha1.MatchResources',
  'admissionregistration.v1alpha1.NamedRuleWithOperations',
  'admissionregistration.v1alpha1.ParamKind',
  'admissionregistration.v1alpha1.ParamRef',
  'admissionregistration.v1beta1.MatchResources',
  'admissionregistration.v1beta1.NamedRuleWithOperations',
  'admissionregistration.v1beta1.ParamKind',
  'admissionregistration.v1beta1.ParamRef',
  'admissionregistration.v1beta1.Variable',
  'autoscaling.v1.CrossVersionObjectReference',
  'core.v1.ConfigMapKeySelector',
  'core.v1.EndpointAddress',
  'core.v1.EndpointPort',
  'core.v1.FileKeySelector',
  'core.v1.LocalObjectReference',
  'core.v1.NodeSelector',
  'core.v1.NodeSelectorTerm',
  'core.v1.ObjectFieldSelector',
  'core.v1.ObjectReference',
  'core.v1.ResourceFieldSelector',
  'core.v1.ScopeSelector',
  'core.v1.SecretKeySelector',
  'core.v1.SecretReference',
  'core.v1.TopologySelectorTerm',
  'core.v1.TypedLocalObjectReference',
  'discovery.v1.EndpointPort',
  'meta.v1.LabelSelector',
  'meta.v1.OwnerReference',
  'networking.v1.ServiceBackendPort',
  'rbac.v1.RoleRef',
  'rbac.v1.Subject',
]);

/** How `field` of `definition` (OpenAPI name) merges; `isList` tells whether it holds a list. */
export function mergeFact(definition: string, field: string, isList: boolean): MergeFact {
  const stated = FIELDS[`${shortName(definition)}.${field}`];
  if (stated) return stated;
  const bare = !isList || (field === 'items' && definition.endsWith('List'));
  return bare || (definition === API_RESOURCE && field === 'verbs') ? {} : ATOMIC;
}

export function isAtomicObject(definition: string): boolean {
  return ATOMIC_OBJECTS.has(shortName(definition));
}

const API_RESOURCE = 'io.k8s.apimachinery.pkg.apis.meta.v1.APIResource';

/** `core.v1.Pod` of `io.k8s.api.core.v1.Pod`. */
function shortName(definition: string): string {
  return definition.split('.').slice(-3).join('.');
}
