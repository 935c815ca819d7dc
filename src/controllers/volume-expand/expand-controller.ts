import { compareQuantities, parseQuantity } from '../../api/quantity.ts';
import {
  type ObjectKey,
  PERSISTENT_VOLUME_CLAIMS,
  PERSISTENT_VOLUMES,
} from '../../api/resource-types.ts';
import type { PersistentVolumeClaim } from '../../api/types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { keyOf } from '../../client/indexer.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';

/**
 * Tells of claims that have grown. Every kind of volume that can grow is a CSI one, and its own resizer does it: as
 * upstream's, this controller only says that it is waited for.
 */
export function expandController(context: ControllerContext): Runnable {
  const { informers } = context;
  const claims = informers.get(PERSISTENT_VOLUME_CLAIMS);
  const volumes = informers.get(PERSISTENT_VOLUMES);
  const events = context.events('volume_expand');
  const reconciler: Reconciler = {
    name: 'persistentvolume-expander-controller',
    async reconcile(key: ObjectKey) {
      const claim = claims.get(key);
      if (!claim || !hasGrown(claim)) return DONE;
      if (!volumes.get({ namespace: '', name: claim.spec?.volumeName ?? '' })) return DONE;
      const text = 'waiting for an external controller to expand this PVC';
      events.event(claim, 'Normal', 'ExternalExpanding', text);
      return DONE;
    },
  };
  const controller = newController(context, reconciler);
  controller.needs(claims);
  controller.needs(volumes);
  claims.addHandler({
    onAdd: (claim) => controller.enqueue(keyOf(claim)),
    onUpdate: (before, after) => {
      if (sizeOf(before) !== sizeOf(after)) controller.enqueue(keyOf(after));
    },
  });
  return controller;
}

function sizeOf({ spec }: PersistentVolumeClaim): string {
  return spec?.resources?.requests?.storage ?? '0';
}

/** Bound, and asking for more than it has. Pure. */
export function hasGrown(claim: PersistentVolumeClaim): boolean {
  const has = claim.status?.capacity?.storage;
  if (claim.status?.phase !== 'Bound' || has === undefined) return false;
  return compareQuantities(parseQuantity(sizeOf(claim)), parseQuantity(has)) > 0;
}
