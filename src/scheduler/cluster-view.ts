import {
  NAMESPACES,
  NODES,
  PERSISTENT_VOLUME_CLAIMS,
  PERSISTENT_VOLUMES,
  POD_DISRUPTION_BUDGETS,
  PODS,
  REPLICA_SETS,
  REPLICATION_CONTROLLERS,
  type ResourceType,
  SERVICES,
  STATEFUL_SETS,
} from '../api/resource-types.ts';
import {
  CSI_DRIVERS,
  CSI_NODES,
  CSI_STORAGE_CAPACITIES,
  DEVICE_CLASSES,
  RESOURCE_CLAIMS,
  RESOURCE_SLICES,
  STORAGE_CLASSES,
} from '../api/system-resource-types.ts';
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  DeviceClass,
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  ReplicaSet,
  ReplicationController,
  ResourceClaim,
  ResourceSlice,
  Service,
  StatefulSet,
  StorageClass,
} from '../api/types.ts';
import type { Informer, Selection } from '../client/client.ts';

/** Everything that scheduling reads of the cluster, kept up to date. */
export interface ClusterView {
  readonly pods: Informer<Pod>;
  readonly nodes: Informer<Node>;
  readonly namespaces: Informer<Namespace>;
  readonly services: Informer<Service>;
  readonly replicaSets: Informer<ReplicaSet>;
  readonly statefulSets: Informer<StatefulSet>;
  readonly replicationControllers: Informer<ReplicationController>;
  readonly budgets: Informer<PodDisruptionBudget>;
  readonly claims: Informer<PersistentVolumeClaim>;
  readonly volumes: Informer<PersistentVolume>;
  readonly storageClasses: Informer<StorageClass>;
  readonly csiNodes: Informer<CSINode>;
  readonly csiDrivers: Informer<CSIDriver>;
  readonly csiCapacities: Informer<CSIStorageCapacity>;
  readonly resourceClaims: Informer<ResourceClaim>;
  readonly resourceSlices: Informer<ResourceSlice>;
  readonly deviceClasses: Informer<DeviceClass>;
}

/** Pods that have ended hold nothing any more: the scheduler never needs to see them. */
const LIVE_PODS: Selection = { fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed' };

/** Makes the informers; the caller runs them. */
export function clusterView(
  informer: <T>(type: ResourceType<T>, selection: Selection) => Informer<T>,
): ClusterView {
  return {
    pods: informer(PODS, LIVE_PODS),
    nodes: informer(NODES, {}),
    namespaces: informer(NAMESPACES, {}),
    services: informer(SERVICES, {}),
    replicaSets: informer(REPLICA_SETS, {}),
    statefulSets: informer(STATEFUL_SETS, {}),
    replicationControllers: informer(REPLICATION_CONTROLLERS, {}),
    budgets: informer(POD_DISRUPTION_BUDGETS, {}),
    claims: informer(PERSISTENT_VOLUME_CLAIMS, {}),
    volumes: informer(PERSISTENT_VOLUMES, {}),
    storageClasses: informer(STORAGE_CLASSES, {}),
    csiNodes: informer(CSI_NODES, {}),
    csiDrivers: informer(CSI_DRIVERS, {}),
    csiCapacities: informer(CSI_STORAGE_CAPACITIES, {}),
    resourceClaims: informer(RESOURCE_CLAIMS, {}),
    resourceSlices: informer(RESOURCE_SLICES, {}),
    deviceClasses: informer(DEVICE_CLASSES, {}),
  };
}

export function informersOf(view: ClusterView): Informer<unknown>[] {
  return Object.values(view) as Informer<unknown>[];
}
