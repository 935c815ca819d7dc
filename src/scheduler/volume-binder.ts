import { PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES } from '../api/resource-types.ts';
import type { PersistentVolumeClaim } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import { FITS, failed, type Status } from './status.ts';
import { clusterKey, isBound, SELECTED_NODE, type StorageListers } from './volume-claims.ts';
import type { NodePlan } from './volume-plan.ts';

const LOOK_MS = 200;

/** Gives an existing volume to a claim: the volume then names the claim. */
export async function claimVolume(
  client: Client,
  { claim, volume }: NodePlan['bindings'][number],
): Promise<void> {
  const { namespace, name, uid } = claim.metadata;
  const claimRef = { kind: 'PersistentVolumeClaim', apiVersion: 'v1', namespace, name, uid };
  const annotations = { 'pv.kubernetes.io/bound-by-controller': 'yes' };
  // The revision keeps two schedulers from giving the same volume away.
  const { resourceVersion } = volume.metadata;
  const body = { metadata: { annotations, resourceVersion }, spec: { claimRef } };
  await client.patch(PERSISTENT_VOLUMES, clusterKey(volume.metadata.name), { type: 'merge', body });
}

/** Asks the provisioner of the claim for a volume that can be used on the node. */
export async function selectNode(
  client: Client,
  { metadata }: PersistentVolumeClaim,
  nodeName: string,
): Promise<void> {
  if (metadata.annotations?.[SELECTED_NODE] === nodeName) return;
  const { namespace, name, uid } = metadata;
  const body = { metadata: { uid, annotations: { [SELECTED_NODE]: nodeName } } };
  await client.patch(PERSISTENT_VOLUME_CLAIMS, { namespace, name }, { type: 'merge', body });
}

/** Volume controllers do the rest. A provisioner that gives up takes its annotation back. */
export async function untilBound(
  { storage, clock }: { readonly storage: StorageListers; readonly clock: Clock },
  claims: readonly PersistentVolumeClaim[],
  options: { nodeName: string; bindTimeoutMs: number; signal: AbortSignal },
): Promise<Status | undefined> {
  const deadline = clock.now() + options.bindTimeoutMs;
  for (const { metadata } of claims) {
    for (;;) {
      const now = storage.claims.get(metadata);
      if (!now)
        return failed(`persistentvolumeclaim "${metadata.name}" was deleted while it was bound`);
      if (isBound(now)) break;
      if (clock.now() >= deadline) return failed('timed out waiting for the condition');
      await clock.sleep(LOOK_MS, options.signal);
    }
  }
  return FITS;
}
