import type { Pod } from '../api/types.ts';

type Volume = NonNullable<NonNullable<Pod['spec']>['volumes']>[number];

/** Disks that a Pod names itself, without a claim, and that only one machine or one Pod may use at a time. */
export function namesDisks({ spec }: Pod): boolean {
  return (spec?.volumes ?? []).some(
    (volume) =>
      volume.gcePersistentDisk || volume.awsElasticBlockStore || volume.iscsi || volume.rbd,
  );
}

/** Whether two Pods on one node would use the same disk in a way that it does not allow (upstream isVolumeConflict). */
export function disksConflict(one: Pod, other: Pod): boolean {
  const others = other.spec?.volumes ?? [];
  return (one.spec?.volumes ?? []).some((volume) =>
    others.some((theirs) => conflict(volume, theirs)),
  );
}

function conflict(a: Volume, b: Volume): boolean {
  // This disk is attached in one mode, whatever the Pods ask for.
  if (a.awsElasticBlockStore && b.awsElasticBlockStore) {
    return a.awsElasticBlockStore.volumeID === b.awsElasticBlockStore.volumeID;
  }
  if (a.gcePersistentDisk && b.gcePersistentDisk) {
    const same = a.gcePersistentDisk.pdName === b.gcePersistentDisk.pdName;
    return same && mayWrite(a.gcePersistentDisk, b.gcePersistentDisk);
  }
  if (a.iscsi && b.iscsi) return a.iscsi.iqn === b.iscsi.iqn && mayWrite(a.iscsi, b.iscsi);
  if (a.rbd && b.rbd) {
    const [mine, theirs] = [a.rbd, b.rbd];
    const same = (mine.pool ?? 'rbd') === (theirs.pool ?? 'rbd') && mine.image === theirs.image;
    const monitors = mine.monitors.some((monitor) => theirs.monitors.includes(monitor));
    return same && monitors && mayWrite(mine, theirs);
  }
  return false;
}

function mayWrite(a: { readOnly?: boolean | undefined }, b: typeof a): boolean {
  return !(a.readOnly && b.readOnly);
}
