import { fromLabelSelector, matches } from '../../api/labels.ts';
import { compareQuantities, parseQuantity, type Quantity, ZERO } from '../../api/quantity.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../../api/types.ts';
import { classOf } from '../volume-class.ts';

/** The volume names this claim as the one that it is, or will be, bound to. */
export function isFor({ spec }: PersistentVolume, { metadata }: PersistentVolumeClaim): boolean {
  const { namespace, name, uid } = spec?.claimRef ?? {};
  return (
    namespace === metadata.namespace && name === metadata.name && (!uid || uid === metadata.uid)
  );
}

/** Why a volume that a claim asks for by name cannot serve it; undefined: it can. */
export function misfit(volume: PersistentVolume, claim: PersistentVolumeClaim): string | undefined {
  if (compareQuantities(sizeOf(volume), wantedSize(claim)) < 0) return 'requested PV is too small';
  if (classOf(volume) !== classOf(claim)) return 'storageClassName does not match';
  if (attributesClass(volume) !== attributesClass(claim)) {
    return 'volumeAttributesClassName does not match';
  }
  if (!sameMode(volume, claim)) return 'incompatible volumeMode';
  if (!hasAccessModes(volume, claim)) return 'incompatible accessMode';
  return undefined;
}

/**
 * The volume for a claim that names none: one that was kept for it, else the smallest that is large enough. While the
 * claim waits for its first consumer only the former will do. Pure.
 */
export function bestMatch(
  volumes: readonly PersistentVolume[],
  claim: PersistentVolumeClaim,
  waits: boolean,
): PersistentVolume | undefined {
  const fitting = volumes.filter((volume) => !volume.metadata.deletionTimestamp);
  const kept = fitting.find(
    (volume) => isFor(volume, claim) && volume.spec?.claimRef && sameMode(volume, claim),
  );
  if (kept && compareQuantities(sizeOf(kept), wantedSize(claim)) >= 0) return kept;
  if (waits) return undefined;
  const selector = claim.spec?.selector;
  return fitting
    .filter(
      (volume) =>
        !volume.spec?.claimRef &&
        volume.status?.phase === 'Available' &&
        misfit(volume, claim) === undefined &&
        (!selector || matches(fromLabelSelector(selector), volume.metadata.labels)),
    )
    .sort((a, b) => compareQuantities(sizeOf(a), sizeOf(b)))[0];
}

function sizeOf({ spec }: PersistentVolume): Quantity {
  return amount(spec?.capacity?.storage);
}

function wantedSize({ spec }: PersistentVolumeClaim): Quantity {
  return amount(spec?.resources?.requests?.storage);
}

function amount(text: string | undefined): Quantity {
  return text === undefined ? ZERO : parseQuantity(text);
}

function attributesClass({
  spec,
}: {
  spec?: { volumeAttributesClassName?: string | undefined } | undefined;
}): string {
  return spec?.volumeAttributesClassName ?? '';
}

function sameMode(
  { spec: has }: PersistentVolume,
  { spec: wants }: PersistentVolumeClaim,
): boolean {
  return (has?.volumeMode ?? 'Filesystem') === (wants?.volumeMode ?? 'Filesystem');
}

function hasAccessModes(
  { spec: has }: PersistentVolume,
  { spec: wants }: PersistentVolumeClaim,
): boolean {
  return (wants?.accessModes ?? []).every((mode) => has?.accessModes?.includes(mode));
}
