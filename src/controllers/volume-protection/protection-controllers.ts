import {
  keyString,
  type ObjectKey,
  PERSISTENT_VOLUME_CLAIMS,
  PERSISTENT_VOLUMES,
  PODS,
  type ResourceType,
} from '../../api/resource-types.ts';
import type { PersistentVolume, PersistentVolumeClaim, Pod } from '../../api/types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { claimKeysOf } from '../pod-volumes.ts';
import { unlessGone } from '../unless-gone.ts';

const CLAIM_IN_USE = 'kubernetes.io/pvc-protection';
const VOLUME_IN_USE = 'kubernetes.io/pv-protection';
const INDEX = 'claim';

/** A claim that a Pod on a node uses stays until that Pod is gone. */
export function claimProtection(context: ControllerContext): Runnable {
  const { client, informers } = context;
  const claims = informers.get(PERSISTENT_VOLUME_CLAIMS);
  const pods = informers.get(PODS);
  pods.addIndex(INDEX, claimKeysOf);
  const reconciler: Reconciler = {
    name: 'persistentvolumeclaim-protection-controller',
    async reconcile(key: ObjectKey) {
      const claim = claims.get(key);
      if (!claim) return DONE;
      const how = { type: PERSISTENT_VOLUME_CLAIMS, finalizer: CLAIM_IN_USE };
      if (!claim.metadata.deletionTimestamp) {
        await ensureFinalizer(context, how, claim);
      } else if (isHeld(claim, CLAIM_IN_USE)) {
        const id = keyString(key);
        if (pods.byIndex(INDEX, id).some(holds)) return DONE;
        // A cache may not know yet of a Pod that has just got its node.
        const { items } = await client.list(PODS, { namespace: key.namespace });
        const inUse = items.some((pod) => holds(pod) && claimKeysOf(pod).includes(id));
        if (!inUse) await removeFinalizer(context, how, claim);
      }
      return DONE;
    },
  };
  const controller = newController(context, reconciler);
  controller.watch(claims);
  controller.needs(pods);
  const look = (pod: Pod) => {
    for (const key of claimKeysOf(pod)) controller.enqueue(key);
  };
  pods.addHandler({
    onUpdate: (before, after) => {
      if (before.metadata.uid !== after.metadata.uid) look(before);
    },
    onDelete: look,
  });
  return controller;
}

/** A volume that is bound stays until its claim is gone. */
export function volumeProtection(context: ControllerContext): Runnable {
  const volumes = context.informers.get(PERSISTENT_VOLUMES);
  const reconciler: Reconciler = {
    name: 'persistentvolume-protection-controller',
    async reconcile(key: ObjectKey) {
      const volume = volumes.get(key);
      if (!volume) return DONE;
      const how = { type: PERSISTENT_VOLUMES, finalizer: VOLUME_IN_USE };
      if (!volume.metadata.deletionTimestamp) await ensureFinalizer(context, how, volume);
      else if (volume.status?.phase !== 'Bound') await removeFinalizer(context, how, volume);
      return DONE;
    },
  };
  const controller = newController(context, reconciler);
  controller.watch(volumes);
  return controller;
}

type Protected = PersistentVolume | PersistentVolumeClaim;

interface Protection<T> {
  readonly type: ResourceType<T>;
  readonly finalizer: string;
}

/** Only Pods that have a node count: a kubelet refuses to start one with a claim that is going. */
function holds(pod: Pod): boolean {
  return Boolean(pod.spec?.nodeName);
}

function isHeld({ metadata }: Protected, finalizer: string): boolean {
  return metadata.finalizers?.includes(finalizer) ?? false;
}

/** Admission gives it at creation; this is for what was made while admission did not. */
async function ensureFinalizer<T extends Protected>(
  { client }: ControllerContext,
  { type, finalizer }: Protection<T>,
  object: T,
): Promise<void> {
  if (isHeld(object, finalizer)) return;
  const finalizers = [...(object.metadata.finalizers ?? []), finalizer];
  await unlessGone(
    client.update(type, { ...object, metadata: { ...object.metadata, finalizers } }),
  );
}

async function removeFinalizer<T extends Protected>(
  { client }: ControllerContext,
  { type, finalizer }: Protection<T>,
  object: T,
): Promise<void> {
  if (!isHeld(object, finalizer)) return;
  const finalizers = (object.metadata.finalizers ?? []).filter((name) => name !== finalizer);
  await unlessGone(
    client.update(type, { ...object, metadata: { ...object.metadata, finalizers } }),
  );
}
