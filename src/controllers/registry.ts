import { attachDetachController } from './attach-detach/attach-detach-controller.ts';
import { bootstrapSignerController } from './bootstrap/bootstrap-signer-controller.ts';
import { tokenCleanerController } from './bootstrap/token-cleaner-controller.ts';
import { csrApprovingController } from './certificates/approving-controller.ts';
import { csrCleanerController } from './certificates/cleaner-controller.ts';
import { kubeletServingApprovingController } from './certificates/serving-approving-controller.ts';
import { csrSigningController } from './certificates/signing-controller.ts';
import { clusterRoleAggregationController } from './clusterrole-aggregation/clusterrole-aggregation-controller.ts';
import type { ControllerFactory } from './context.ts';
import { cronJobController } from './cronjob/cronjob-controller.ts';
import { daemonSetController } from './daemonset/daemonset-controller.ts';
import { deploymentController } from './deployment/deployment-controller.ts';
import { deviceTaintEvictionController } from './device-taint-eviction/device-taint-eviction-controller.ts';
import { disruptionController } from './disruption/disruption-controller.ts';
import { endpointsController } from './endpoints/endpoints-controller.ts';
import { endpointSliceController } from './endpointslice/endpointslice-controller.ts';
import { endpointSliceMirroringController } from './endpointslice-mirroring/mirroring-controller.ts';
import { ephemeralVolumeController } from './ephemeral-volume/ephemeral-volume-controller.ts';
import { garbageCollector } from './garbage-collector/garbage-collector.ts';
import { horizontalPodAutoscaler } from './horizontal-pod-autoscaler/hpa-controller.ts';
import { jobController } from './job/job-controller.ts';
import { localPathProvisioner } from './local-path/local-path-provisioner.ts';
import { namespaceController } from './namespace/namespace-controller.ts';
import { nodeIpamController } from './node-ipam/node-ipam-controller.ts';
import { nodeLifecycleController } from './node-lifecycle/node-lifecycle-controller.ts';
import { nodeTtlController } from './node-ttl/node-ttl-controller.ts';
import { whyNotHere } from './not-here.ts';
import { volumeBinder } from './persistent-volume/binder-controller.ts';
import { podGcController } from './pod-gc/pod-gc-controller.ts';
import { replicaSetController, replicationController } from './replicaset/replicaset.ts';
import { resourceClaimController } from './resource-claim/resource-claim-controller.ts';
import { resourceQuotaController } from './resource-quota/resource-quota-controller.ts';
import { rootCaPublisher } from './root-ca/root-ca-controller.ts';
import { serviceCidrController } from './service-cidr/service-cidr-controller.ts';
import { serviceLbController } from './service-lb/service-lb-controller.ts';
import { serviceAccountController } from './serviceaccount/serviceaccount-controller.ts';
import { legacyTokenCleaner } from './serviceaccount-token/legacy-token-cleaner.ts';
import { serviceAccountTokenController } from './serviceaccount-token/token-controller.ts';
import { statefulSetController } from './statefulset/statefulset-controller.ts';
import { storageVersionMigrator } from './storage-version-migrator/migrator-controller.ts';
import { taintEvictionController } from './taint-eviction/taint-eviction-controller.ts';
import { trustBundlePublisher } from './trust-bundle-publisher/trust-bundle-publisher.ts';
import { ttlAfterFinishedController } from './ttl-after-finished/ttl-controller.ts';
import { attributesClassProtection } from './volume-attributes-class-protection/class-protection.ts';
import { expandController } from './volume-expand/expand-controller.ts';
import { claimProtection, volumeProtection } from './volume-protection/protection-controllers.ts';

/** The manager itself: what makes the other accounts' tokens cannot have one. */
export const MANAGER_ACCOUNT = '';

interface Registration {
  readonly create: ControllerFactory;
  /** The service account in kube-system under which it works with --use-service-account-credentials. */
  readonly account: string;
  /** Its name from before v1.28, still accepted by `--controllers`. */
  readonly alias?: string;
  /** Reconciles at the same time, each of another key; 1 where absent. */
  readonly workers?: number;
  /** The flag that sets another number. */
  readonly workersFlag?: string;
  /** Not started by `*`: it must be asked for by name. */
  readonly off?: true;
}

/** Upstream's controller names (`--controllers`) and who makes them. */
export const CONTROLLERS: Readonly<Record<string, Registration>> = {
  'deployment-controller': {
    create: deploymentController,
    account: 'deployment-controller',
    alias: 'deployment',
    workers: 5,
    workersFlag: 'concurrent-deployment-syncs',
  },
  'endpoints-controller': {
    create: endpointsController,
    account: 'endpoint-controller',
    alias: 'endpoint',
    workers: 5,
    workersFlag: 'concurrent-endpoint-syncs',
  },
  'endpointslice-controller': {
    create: endpointSliceController,
    account: 'endpointslice-controller',
    alias: 'endpointslice',
    workers: 5,
    workersFlag: 'concurrent-service-endpoint-syncs',
  },
  'garbage-collector-controller': {
    create: garbageCollector,
    account: 'generic-garbage-collector',
    alias: 'garbagecollector',
    workers: 20,
    workersFlag: 'concurrent-gc-syncs',
  },
  'namespace-controller': {
    create: namespaceController,
    account: 'namespace-controller',
    alias: 'namespace',
    workers: 10,
    workersFlag: 'concurrent-namespace-syncs',
  },
  'node-ipam-controller': {
    create: nodeIpamController,
    account: 'node-controller',
    alias: 'nodeipam',
  },
  'node-lifecycle-controller': {
    create: nodeLifecycleController,
    account: 'node-controller',
    alias: 'nodelifecycle',
    workers: 4,
  },
  'pod-garbage-collector-controller': {
    create: podGcController,
    account: 'pod-garbage-collector',
    alias: 'podgc',
  },
  'taint-eviction-controller': {
    create: taintEvictionController,
    account: 'node-controller',
    workers: 8,
  },
  'device-taint-eviction-controller': {
    create: deviceTaintEvictionController,
    account: 'device-taint-eviction-controller',
    workers: 8,
    workersFlag: 'concurrent-device-taint-eviction-syncs',
  },
  'daemonset-controller': {
    create: daemonSetController,
    account: 'daemon-set-controller',
    alias: 'daemonset',
    workers: 2,
    workersFlag: 'concurrent-daemonset-syncs',
  },
  'replicationcontroller-controller': {
    create: replicationController,
    account: 'replication-controller',
    alias: 'replicationcontroller',
    workers: 5,
    workersFlag: 'concurrent-rc-syncs',
  },
  'statefulset-controller': {
    create: statefulSetController,
    account: 'statefulset-controller',
    alias: 'statefulset',
    workers: 5,
    workersFlag: 'concurrent-statefulset-syncs',
  },
  'job-controller': {
    create: jobController,
    account: 'job-controller',
    alias: 'job',
    workers: 5,
    workersFlag: 'concurrent-job-syncs',
  },
  'ttl-after-finished-controller': {
    create: ttlAfterFinishedController,
    account: 'ttl-after-finished-controller',
    alias: 'ttl-after-finished',
    workers: 5,
    workersFlag: 'concurrent-ttl-after-finished-syncs',
  },
  'cronjob-controller': {
    create: cronJobController,
    account: 'cronjob-controller',
    alias: 'cronjob',
    workers: 5,
    workersFlag: 'concurrent-cron-job-syncs',
  },
  'disruption-controller': {
    create: disruptionController,
    account: 'disruption-controller',
    alias: 'disruption',
  },
  'endpointslice-mirroring-controller': {
    create: endpointSliceMirroringController,
    account: 'endpointslicemirroring-controller',
    alias: 'endpointslicemirroring',
    workers: 5,
    workersFlag: 'mirroring-concurrent-service-endpoint-syncs',
  },
  'replicaset-controller': {
    create: replicaSetController,
    account: 'replicaset-controller',
    alias: 'replicaset',
    workers: 5,
    workersFlag: 'concurrent-replicaset-syncs',
  },
  'resourcequota-controller': {
    create: resourceQuotaController,
    account: 'resourcequota-controller',
    alias: 'resourcequota',
    workers: 5,
    workersFlag: 'concurrent-resource-quota-syncs',
  },
  'persistentvolume-binder-controller': {
    create: volumeBinder,
    account: 'persistent-volume-binder',
    alias: 'persistentvolume-binder',
  },
  'horizontal-pod-autoscaler-controller': {
    create: horizontalPodAutoscaler,
    account: 'horizontal-pod-autoscaler',
    alias: 'horizontalpodautoscaling',
    workers: 5,
    workersFlag: 'concurrent-horizontal-pod-autoscaler-syncs',
  },
  'ttl-controller': { create: nodeTtlController, account: 'ttl-controller', alias: 'ttl' },
  'ephemeral-volume-controller': {
    create: ephemeralVolumeController,
    account: 'ephemeral-volume-controller',
    alias: 'ephemeral-volume',
    workers: 5,
    workersFlag: 'concurrent-ephemeralvolume-syncs',
  },
  'persistentvolume-expander-controller': {
    create: expandController,
    account: 'expand-controller',
    alias: 'persistentvolume-expander',
  },
  'serviceaccount-token-controller': {
    create: serviceAccountTokenController,
    account: MANAGER_ACCOUNT,
    alias: 'serviceaccount-token',
    workers: 5,
    workersFlag: 'concurrent-serviceaccount-token-syncs',
  },
  'legacy-serviceaccount-token-cleaner-controller': {
    create: legacyTokenCleaner,
    account: 'legacy-service-account-token-cleaner',
    alias: 'legacy-service-account-token-cleaner',
  },
  'persistentvolume-attach-detach-controller': {
    create: attachDetachController,
    account: 'attachdetach-controller',
    alias: 'attachdetach',
  },
  'resourceclaim-controller': {
    create: resourceClaimController,
    account: 'resource-claim-controller',
    alias: 'resource-claim-controller',
    workers: 50,
    workersFlag: 'concurrent-resource-claim-syncs',
  },
  'service-cidr-controller': {
    create: serviceCidrController,
    account: 'service-cidrs-controller',
    workers: 5,
  },
  // Upstream's is in the cloud's controller manager; this one needs no cloud.
  'service-lb-controller': {
    create: serviceLbController,
    account: 'service-controller',
    alias: 'service',
    workers: 1,
    workersFlag: 'concurrent-service-syncs',
  },
  // Not upstream's: elsewhere it is a Deployment.
  'local-path-provisioner': {
    create: localPathProvisioner,
    account: 'local-path-provisioner',
  },
  'persistentvolumeclaim-protection-controller': {
    create: claimProtection,
    account: 'pvc-protection-controller',
    alias: 'pvc-protection',
  },
  'persistentvolume-protection-controller': {
    create: volumeProtection,
    account: 'pv-protection-controller',
    alias: 'pv-protection',
  },
  // Off as upstream: the API server serves its API only where it is asked to.
  'storage-version-migrator-controller': {
    create: storageVersionMigrator,
    account: 'storage-version-migrator-controller',
    workers: 5,
    off: true,
  },
  'volumeattributesclass-protection-controller': {
    create: attributesClassProtection,
    account: 'volumeattributesclass-protection-controller',
  },
  'root-ca-certificate-publisher-controller': {
    create: rootCaPublisher,
    account: 'root-ca-cert-publisher',
    alias: 'root-ca-cert-publisher',
  },
  'kube-apiserver-serving-clustertrustbundle-publisher-controller': {
    create: trustBundlePublisher,
    account: 'kube-apiserver-serving-clustertrustbundle-publisher',
  },
  'serviceaccount-controller': {
    create: serviceAccountController,
    account: 'service-account-controller',
    alias: 'serviceaccount',
  },
  'certificatesigningrequest-approving-controller': {
    create: csrApprovingController,
    account: 'certificate-controller',
    alias: 'csrapproving',
  },
  'kubelet-serving-approving-controller': {
    create: kubeletServingApprovingController,
    account: 'kubelet-serving-approver',
  },
  'certificatesigningrequest-signing-controller': {
    create: csrSigningController,
    account: 'certificate-controller',
    alias: 'csrsigning',
    workers: 5,
  },
  'certificatesigningrequest-cleaner-controller': {
    create: csrCleanerController,
    account: 'certificate-controller',
    alias: 'csrcleaner',
  },
  'bootstrap-signer-controller': {
    create: bootstrapSignerController,
    account: 'bootstrap-signer',
    alias: 'bootstrapsigner',
    off: true,
  },
  'token-cleaner-controller': {
    create: tokenCleanerController,
    account: 'token-cleaner',
    alias: 'tokencleaner',
    off: true,
  },
  'clusterrole-aggregation-controller': {
    create: clusterRoleAggregationController,
    account: 'clusterrole-aggregation-controller',
    alias: 'clusterrole-aggregation',
    workers: 5,
  },
};

/**
 * The names that a `--controllers` list selects: `*` all that are on by default, `foo` foo, `-foo` not foo; the first
 * mention of a name decides. Throws RangeError for a name that does not exist, and for one that is not here.
 */
export function selectControllers(list: readonly string[]): string[] {
  const mentioned = list.flatMap((item) => {
    const bare = item.replace(/^-/, '');
    const name = fullName(bare);
    if (name !== undefined) return [item.startsWith('-') ? `-${name}` : name];
    const why = whyNotHere(bare);
    if (why === undefined)
      throw new RangeError(`"${bare}" is not in the list of known controllers`);
    if (!item.startsWith('-')) throw new RangeError(`"${bare}" does not run here: ${why}`);
    return [];
  });
  return Object.entries(CONTROLLERS)
    .filter(([name, { off }]) => {
      const said = mentioned.find((item) => item === name || item === `-${name}`);
      if (said !== undefined) return said === name;
      return mentioned.includes('*') && !off;
    })
    .map(([name]) => name);
}

function fullName(name: string): string | undefined {
  if (name === '*' || Object.hasOwn(CONTROLLERS, name)) return name;
  return Object.entries(CONTROLLERS).find(([, { alias }]) => alias === name)?.[0];
}
