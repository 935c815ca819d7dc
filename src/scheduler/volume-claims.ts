import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
} from '../api/types.ts';
import type { Lister } from '../client/client.ts';
import { claimsOf } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';
import { amountOf } from './quantity.ts';
import { compileLabelSelector, compileNodeSelector } from './selectors.ts';

/** What scheduling reads about storage. */
export interface StorageListers {
  readonly claims: Lister<PersistentVolumeClaim>;
  readonly volumes: Lister<PersistentVolume>;
  readonly storageClasses: Lister<StorageClass>;
  readonly csiNodes: Lister<CSINode>;
  readonly csiDrivers: Lister<CSIDriver>;
  readonly csiCapacities: Lister<CSIStorageCapacity>;
}

export const SELECTED_NODE = 'volume.kubernetes.io/selected-node';
const NO_PROVISIONER = 'kubernetes.io/no-provisioner';

export function clusterKey(name: string) {
  return { namespace: '', name };
}

/** The claims of a Pod: found ones, and the names of those that do not exist. */
export function podClaims(
  listers: StorageListers,
  pod: PodInfo,
): { found: PersistentVolumeClaim[]; missing: string[] } {
  const found: PersistentVolumeClaim[] = [];
  const missing: string[] = [];
  for (const key of claimsOf(pod)) {
    const name = key.slice(pod.namespace.length + 1);
    const claim = listers.claims.get({ namespace: pod.namespace, name });
    if (claim) found.push(claim);
    else missing.push(name);
  }
  return { found, missing };
}

export function isBound(claim: PersistentVolumeClaim): boolean {
  const done = claim.metadata.annotations?.['pv.kubernetes.io/bind-completed'] !== undefined;
  return Boolean(claim.spec?.volumeName) && (done || claim.status?.phase === 'Bound');
}

/** Binding waits until a Pod that uses the claim has a node. */
export function waitsForConsumer(listers: StorageListers, claim: PersistentVolumeClaim): boolean {
  const name = claim.spec?.storageClassName;
  if (!name || claim.spec?.volumeName) return false;
  const storageClass = listers.storageClasses.get(clusterKey(name));
  return storageClass?.volumeBindingMode === 'WaitForFirstConsumer';
}

/** Whether the volume can be used on the node (spec.nodeAffinity). */
export function reachable(volume: PersistentVolume, node: Node): boolean {
  const required = volume.spec?.nodeAffinity?.required;
  return !required || compileNodeSelector(required)(node);
}

function size(list: Record<string, string> | undefined): number {
  return amountOf('storage', list?.storage ?? '0');
}

/** The smallest free volume that meets the claim and can be used on the node. */
export function matchingVolume(
  listers: StorageListers,
  claim: PersistentVolumeClaim,
  node: Node,
  isTaken: (volumeName: string) => boolean,
): PersistentVolume | undefined {
  const selects = claim.spec?.selector ? compileLabelSelector(claim.spec.selector) : () => true;
  return listers.volumes
    .list()
    .filter(
      (volume) =>
        isFree(volume, claim, isTaken) &&
        meets(volume, claim) &&
        selects(volume.metadata.labels ?? {}) &&
        reachable(volume, node),
    )
    .sort((a, b) => size(a.spec?.capacity) - size(b.spec?.capacity))[0];
}

/** Free for everybody, or kept for this very claim. */
function isFree(
  { spec, status, metadata }: PersistentVolume,
  claim: PersistentVolumeClaim,
  isTaken: (volumeName: string) => boolean,
): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  const kept = spec?.claimRef;
  if (!kept) return status?.phase === 'Available' && !isTaken(metadata.name);
  const { name, namespace, uid } = claim.metadata;
  return kept.name === name && kept.namespace === namespace && (!kept.uid || kept.uid === uid);
}

function meets({ spec: has }: PersistentVolume, { spec: wants }: PersistentVolumeClaim): boolean {
  return (
    (has?.storageClassName ?? '') === (wants?.storageClassName ?? '') &&
    (has?.volumeMode ?? 'Filesystem') === (wants?.volumeMode ?? 'Filesystem') &&
    (wants?.accessModes ?? []).every((mode) => has?.accessModes?.includes(mode)) &&
    size(has?.capacity) >= size(wants?.resources?.requests)
  );
}

export type Provisioning = 'possible' | 'impossible' | 'no-capacity';

/** Whether a volume for the claim can be made on the node. */
export function provisioning(
  listers: StorageListers,
  claim: PersistentVolumeClaim,
  node: Node,
): Provisioning {
  const storageClass = listers.storageClasses.get(clusterKey(claim.spec?.storageClassName ?? ''));
  if (!storageClass || storageClass.provisioner === NO_PROVISIONER) return 'impossible';
  const labels = node.metadata.labels ?? {};
  const topologies = storageClass.allowedTopologies ?? [];
  const allowed = topologies.some((term) =>
    (term.matchLabelExpressions ?? []).every(({ key, values }) =>
      values.includes(labels[key] ?? ''),
    ),
  );
  if (topologies.length > 0 && !allowed) return 'impossible';
  const driver = listers.csiDrivers.get(clusterKey(storageClass.provisioner));
  if (!driver?.spec?.storageCapacity) return 'possible';
  const wanted = size(claim.spec?.resources?.requests);
  const enough = listers.csiCapacities.list().some((capacity) => {
    const room = capacity.maximumVolumeSize ?? capacity.capacity;
    return (
      capacity.storageClassName === storageClass.metadata.name &&
      room !== undefined &&
      amountOf('storage', room) >= wanted &&
      compileLabelSelector(capacity.nodeTopology)(labels)
    );
  });
  return enough ? 'possible' : 'no-capacity';
}
