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
  ResourceClaim,
  ResourceSlice,
  StorageClass,
} from '../api/types.ts';
import type { Informer } from '../client/client.ts';
import type { Cache } from './cache.ts';
import type { ClusterEvent } from './cluster-events.ts';
import type { Nominator } from './nominator.ts';
import { assignedPodEvents, nodeEvents, waitingPodEvents } from './object-events.ts';
import { isTerminal, PodInfo } from './pod-info.ts';
import type { SchedulingQueue } from './queue.ts';

export interface HandlerDeps {
  readonly pods: Informer<Pod>;
  readonly nodes: Informer<Node>;
  readonly namespaces: Informer<Namespace>;
  readonly claims: Informer<PersistentVolumeClaim>;
  readonly volumes: Informer<PersistentVolume>;
  readonly storageClasses: Informer<StorageClass>;
  readonly csiNodes: Informer<CSINode>;
  readonly csiDrivers: Informer<CSIDriver>;
  readonly csiCapacities: Informer<CSIStorageCapacity>;
  readonly resourceClaims: Informer<ResourceClaim>;
  readonly resourceSlices: Informer<ResourceSlice>;
  readonly deviceClasses: Informer<DeviceClass>;
  readonly cache: Cache;
  readonly queue: SchedulingQueue;
  readonly nominator: Nominator;
  /** Whether a Pod of this schedulerName is ours to place. */
  readonly isOurs: (schedulerName: string) => boolean;
  /** A Pod that we held is bound or gone. */
  readonly onPodLeft: (uid: string) => void;
}

/** Keeps cache and queue true to what the API server says, and wakes Pods for what has changed. */
export function handleEvents(deps: HandlerDeps): void {
  const { pods, nodes, cache, queue } = deps;
  nodes.addHandler({
    onAdd(node) {
      cache.setNode(node);
      queue.move(['Node/Add'], { after: node });
    },
    onUpdate(before, after) {
      cache.setNode(after);
      const events = nodeEvents(before, after);
      if (events.length > 0) queue.move(events, { before, after });
    },
    onDelete(node) {
      cache.removeNode(node.metadata.name);
      queue.move(['Node/Delete'], { before: node });
    },
  });
  deps.namespaces.addHandler({
    onUpdate(before, after) {
      // Only namespaceSelectors of affinity terms look at namespaces, and only at their labels.
      if (JSON.stringify(before.metadata.labels) === JSON.stringify(after.metadata.labels)) return;
      queue.move(['Namespace/Update'], { before, after });
    },
  });
  handleStorageAndDevices(deps);
  pods.addHandler({
    onAdd: (pod) => podIs(deps, undefined, pod),
    onUpdate: (before, after) => podIs(deps, before, after),
    onDelete: (pod) => podIs(deps, pod, undefined),
  });
}

/** Storage and devices matter to waiting Pods only: nothing to cache, but someone may be helped. */
function handleStorageAndDevices({ queue, ...deps }: HandlerDeps): void {
  const watch = <T>(informer: Informer<T>, events: ResourceEvents) => {
    informer.addHandler({
      onAdd: (after) => events.add && queue.move([events.add], { after }),
      onUpdate: (before, after) => events.update && queue.move([events.update], { before, after }),
      onDelete: (before) => events.delete && queue.move([events.delete], { before }),
    });
  };
  watch(deps.claims, {
    add: 'PersistentVolumeClaim/Add',
    update: 'PersistentVolumeClaim/Update',
    delete: 'PersistentVolumeClaim/Delete',
  });
  watch(deps.volumes, { add: 'PersistentVolume/Add', update: 'PersistentVolume/Update' });
  watch(deps.storageClasses, { add: 'StorageClass/Add', update: 'StorageClass/Update' });
  watch(deps.csiNodes, { add: 'CSINode/Add', update: 'CSINode/Update' });
  watch(deps.csiDrivers, { update: 'CSIDriver/Update' });
  watch(deps.csiCapacities, {
    add: 'CSIStorageCapacity/Add',
    update: 'CSIStorageCapacity/Update',
  });
  watch(deps.resourceClaims, {
    add: 'ResourceClaim/Add',
    update: 'ResourceClaim/Update',
    delete: 'ResourceClaim/Delete',
  });
  watch(deps.resourceSlices, { add: 'ResourceSlice/Add', update: 'ResourceSlice/Update' });
  watch(deps.deviceClasses, { add: 'DeviceClass/Add', update: 'DeviceClass/Update' });
}

interface ResourceEvents {
  readonly add?: ClusterEvent;
  readonly update?: ClusterEvent;
  readonly delete?: ClusterEvent;
}

type Place = 'assigned' | 'waiting' | 'elsewhere';

/** Where the Pod belongs: on a node, in our queue, or nowhere (ended, or another scheduler's). */
function placeOf(pod: Pod | undefined, isOurs: HandlerDeps['isOurs']): Place {
  if (!pod || isTerminal(pod)) return 'elsewhere';
  if (pod.spec?.nodeName) return 'assigned';
  return isOurs(pod.spec?.schedulerName ?? 'default-scheduler') ? 'waiting' : 'elsewhere';
}

function podIs(deps: HandlerDeps, before: Pod | undefined, after: Pod | undefined): void {
  // Another Pod of the same name, seen only after a break of the watch: two stories, not one.
  if (before && after && before.metadata.uid !== after.metadata.uid) {
    podIs(deps, before, undefined);
    podIs(deps, undefined, after);
    return;
  }
  const from = placeOf(before, deps.isOurs);
  const to = placeOf(after, deps.isOurs);
  if (before && from === 'waiting' && to !== 'waiting') leaveQueue(deps, before);
  // Bound by us and gone without having been seen in between: nothing else would free its place.
  if (before && to === 'elsewhere' && deps.cache.isAssumed(before.metadata.uid)) {
    leaveNode(deps, before);
  }
  if (before && from === 'assigned' && to !== 'assigned') leaveNode(deps, before);
  if (!after) return;
  if (to === 'assigned') onNode(deps, from === 'assigned' ? before : undefined, after);
  if (to === 'waiting') inQueue(deps, from === 'waiting' ? before : undefined, after);
}

function leaveQueue({ queue, nominator, onPodLeft }: HandlerDeps, pod: Pod): void {
  queue.delete(pod.metadata.uid);
  nominator.remove(pod.metadata.uid);
  onPodLeft(pod.metadata.uid);
}

function leaveNode({ cache, queue }: HandlerDeps, pod: Pod): void {
  cache.removePod(pod.metadata.uid);
  queue.move(['AssignedPod/Delete'], { before: pod });
}

function onNode(
  { cache, queue, nominator }: HandlerDeps,
  before: Pod | undefined,
  after: Pod,
): void {
  const now = new PodInfo(after);
  cache.addPod(now);
  if (before) {
    const events = assignedPodEvents(new PodInfo(before), now);
    if (events.length > 0) queue.move(events, { before, after });
    return;
  }
  nominator.remove(now.uid);
  queue.move(['AssignedPod/Add'], { after });
}

function inQueue(
  { cache, queue, nominator }: HandlerDeps,
  before: Pod | undefined,
  after: Pod,
): void {
  const now = new PodInfo(after);
  if (cache.isAssumed(now.uid)) return; // placed already, the binding is under way
  if (after.status?.nominatedNodeName) nominator.nominate(now, after.status.nominatedNodeName);
  if (!before) {
    queue.add(now);
    return;
  }
  if (before.status?.nominatedNodeName && !after.status?.nominatedNodeName) {
    nominator.remove(now.uid);
  }
  const old = new PodInfo(before);
  queue.update(old, now, waitingPodEvents(old, now));
}
