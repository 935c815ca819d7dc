import type { Node, PersistentVolume, PersistentVolumeClaim } from '../api/types.ts';
import { type Status, unresolvable } from './status.ts';
import {
  clusterKey,
  matchingVolume,
  provisioning,
  reachable,
  SELECTED_NODE,
  type StorageListers,
} from './volume-claims.ts';

const CONFLICT = unresolvable("node(s) didn't match PersistentVolume's node affinity");
const NO_VOLUME = unresolvable("node(s) didn't find available persistent volumes to bind");
const NO_SPACE = unresolvable('node(s) did not have enough free storage');
const LOST = unresolvable(
  'node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)',
);

/** How the unbound claims of a Pod get volumes that can be used on a node. */
export interface NodePlan {
  /** A volume that exists for each of these claims. */
  readonly bindings: readonly { claim: PersistentVolumeClaim; volume: PersistentVolume }[];
  /** Claims for which a volume is to be made. */
  readonly provisioned: readonly PersistentVolumeClaim[];
}

/** Why the volumes that the Pod has already keep it from the node. */
export function boundProblem(
  storage: StorageListers,
  bound: readonly PersistentVolumeClaim[],
  node: Node,
): Status | undefined {
  for (const { spec } of bound) {
    const volume = storage.volumes.get(clusterKey(spec?.volumeName ?? ''));
    if (!volume) return LOST;
    if (!reachable(volume, node)) return CONFLICT;
  }
  return undefined;
}

/** A volume for every claim: one that exists, or one that can be made. */
export function planFor(
  storage: StorageListers,
  unbound: readonly PersistentVolumeClaim[],
  node: Node,
  taken: ReadonlyMap<string, string>,
): NodePlan | Status {
  const bindings: { claim: PersistentVolumeClaim; volume: PersistentVolume }[] = [];
  const provisioned: PersistentVolumeClaim[] = [];
  const used = new Set(taken.keys());
  for (const claim of unbound) {
    // A provisioner is at work for another node already: the claim belongs there.
    const selected = claim.metadata.annotations?.[SELECTED_NODE];
    if (selected !== undefined && selected !== node.metadata.name) return NO_VOLUME;
    const volume = selected
      ? undefined
      : matchingVolume(storage, claim, node, (name) => used.has(name));
    if (volume) {
      used.add(volume.metadata.name);
      bindings.push({ claim, volume });
      continue;
    }
    const answer = provisioning(storage, claim, node);
    if (answer !== 'possible') return answer === 'no-capacity' ? NO_SPACE : NO_VOLUME;
    provisioned.push(claim);
  }
  return { bindings, provisioned };
}
