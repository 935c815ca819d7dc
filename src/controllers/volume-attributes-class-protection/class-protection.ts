import {
  type ObjectKey,
  PERSISTENT_VOLUME_CLAIMS,
  PERSISTENT_VOLUMES,
} from '../../api/resource-types.ts';
import { VOLUME_ATTRIBUTES_CLASSES } from '../../api/system-resource-types.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../../api/types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { unlessGone } from '../unless-gone.ts';

const NAME = 'volumeattributesclass-protection-controller';
const IN_USE = 'kubernetes.io/vac-protection';
const INDEX = 'attributes-class';

/** A class of volume attributes stays while a claim or a volume has it, or is on the way to it (KEP-3751). */
export function attributesClassProtection(context: ControllerContext): Runnable {
  const { client, informers } = context;
  const classes = informers.get(VOLUME_ATTRIBUTES_CLASSES);
  const claims = informers.get(PERSISTENT_VOLUME_CLAIMS);
  const volumes = informers.get(PERSISTENT_VOLUMES);
  claims.addIndex(INDEX, classesOfClaim);
  volumes.addIndex(INDEX, classesOfVolume);
  const reconciler: Reconciler = {
    name: NAME,
    async reconcile({ name }: ObjectKey) {
      const found = classes.get({ namespace: '', name });
      if (!found) return DONE;
      const { finalizers = [], deletionTimestamp } = found.metadata;
      const isHeld = finalizers.includes(IN_USE);
      const isUsed = () => [claims, volumes].some((of) => of.byIndex(INDEX, name).length > 0);
      if (deletionTimestamp ? !isHeld || isUsed() : isHeld) return DONE;
      const changed = deletionTimestamp
        ? finalizers.filter((finalizer) => finalizer !== IN_USE)
        : [...finalizers, IN_USE];
      const metadata = { ...found.metadata, finalizers: changed };
      await unlessGone(client.update(VOLUME_ATTRIBUTES_CLASSES, { ...found, metadata }));
      return DONE;
    },
  };
  const controller = newController(context, reconciler);
  controller.watch(classes);
  controller.watch(claims, classesOfClaim);
  controller.watch(volumes, classesOfVolume);
  return controller;
}

function classesOfClaim({ spec, status }: PersistentVolumeClaim): string[] {
  const names = [
    spec?.volumeAttributesClassName,
    status?.currentVolumeAttributesClassName,
    status?.modifyVolumeStatus?.targetVolumeAttributesClassName,
  ];
  return [...new Set(names.filter((name) => name !== undefined && name !== ''))] as string[];
}

function classesOfVolume({ spec }: PersistentVolume): string[] {
  return spec?.volumeAttributesClassName ? [spec.volumeAttributesClassName] : [];
}
