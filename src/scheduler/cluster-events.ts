import type { PodInfo } from './pod-info.ts';

/** Something that happened in the cluster and that may make a Pod fit. Resource and what about it. */
export type ClusterEvent =
  | 'Node/Add'
  | 'Node/Delete'
  | 'Node/UpdateAllocatable'
  | 'Node/UpdateLabel'
  | 'Node/UpdateTaint'
  | 'Node/UpdateCondition'
  | 'Node/UpdateAnnotation'
  | 'AssignedPod/Add'
  | 'AssignedPod/Delete'
  | 'AssignedPod/UpdateLabel'
  | 'AssignedPod/UpdateScaleDown'
  // Changes of the waiting Pod itself.
  | 'Pod/UpdateLabel'
  | 'Pod/UpdateScaleDown'
  | 'Pod/UpdateToleration'
  | 'Pod/UpdateSchedulingGates'
  | 'Pod/UpdateGeneratedResourceClaim'
  | 'Pod/Update'
  | 'Namespace/Update'
  | 'PersistentVolumeClaim/Add'
  | 'PersistentVolumeClaim/Update'
  | 'PersistentVolumeClaim/Delete'
  | 'PersistentVolume/Add'
  | 'PersistentVolume/Update'
  | 'StorageClass/Add'
  | 'StorageClass/Update'
  | 'CSINode/Add'
  | 'CSINode/Update'
  | 'CSIDriver/Update'
  | 'CSIStorageCapacity/Add'
  | 'CSIStorageCapacity/Update'
  | 'VolumeAttachment/Delete'
  | 'ResourceClaim/Add'
  | 'ResourceClaim/Update'
  | 'ResourceClaim/Delete'
  | 'ResourceSlice/Add'
  | 'ResourceSlice/Update'
  | 'DeviceClass/Add'
  | 'DeviceClass/Update';

/** What changed: the object before and after, as far as there is one. */
export interface Change {
  readonly before?: unknown;
  readonly after?: unknown;
}

/**
 * Which events may help a Pod that the plugin rejected. Without `helps` every one of them may;
 * with it (a queueing hint) only those for which it answers true.
 */
export interface Wake {
  readonly on: readonly ClusterEvent[];
  readonly helps?: (pod: PodInfo, change: Change) => boolean;
}
