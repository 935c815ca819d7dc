import { compareQuantities, parseQuantity } from '../../api/quantity.ts';
import { PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES } from '../../api/resource-types.ts';
import { STORAGE_CLASSES } from '../../api/system-resource-types.ts';
import type { PersistentVolumeClaim, StorageClass } from '../../api/types.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { allOf, forbiddenByAdmission, isAbout, lookUp, type PluginDeps } from './plugin.ts';

const IS_DEFAULT = 'storageclass.kubernetes.io/is-default-class';
const IS_DEFAULT_BETA = 'storageclass.beta.kubernetes.io/is-default-class';
const CLASS_BETA = 'volume.beta.kubernetes.io/storage-class';

/** A claim that names no class gets the default one: the newest, when there are several. */
export function defaultStorageClass(deps: PluginDeps): AdmissionPlugin {
  return {
    name: 'DefaultStorageClass',
    async mutate(request) {
      if (request.operation !== 'CREATE' || !isAbout(request, PERSISTENT_VOLUME_CLAIMS)) return;
      const { metadata, spec } = request.object as unknown as PersistentVolumeClaim;
      if (!spec || spec.storageClassName !== undefined) return;
      if (metadata.annotations?.[CLASS_BETA] !== undefined) return;
      const found = newest((await allOf(deps, STORAGE_CLASSES)).filter(isDefault));
      if (found) spec.storageClassName = found;
    },
  };
}

function isDefault({ metadata: { annotations } }: StorageClass): boolean {
  return annotations?.[IS_DEFAULT] === 'true' || annotations?.[IS_DEFAULT_BETA] === 'true';
}

interface Dated {
  readonly metadata: { readonly name: string; readonly creationTimestamp?: string };
}

/** The name of the object that was made last; of those made in one second, the first by name. */
export function newest(objects: readonly Dated[]): string | undefined {
  const age = ({ metadata }: Dated): number => Date.parse(metadata.creationTimestamp ?? '') || 0;
  const sorted = [...objects].sort(
    (a, b) => age(b) - age(a) || (a.metadata.name < b.metadata.name ? -1 : 1),
  );
  return sorted[0]?.metadata.name;
}

const PROTECTION = [
  [PERSISTENT_VOLUME_CLAIMS, 'kubernetes.io/pvc-protection'],
  [PERSISTENT_VOLUMES, 'kubernetes.io/pv-protection'],
] as const;

/** Claims and volumes are made with a finalizer, which their controllers take away once nobody uses them. */
export const storageObjectInUseProtection: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  mutate(request) {
    if (request.operation !== 'CREATE' || !request.object) return;
    for (const [type, finalizer] of PROTECTION) {
      if (!isAbout(request, type)) continue;
      const { metadata } = request.object;
      const known = metadata.finalizers ?? [];
      if (!known.includes(finalizer)) metadata.finalizers = [...known, finalizer];
    }
  },
};

/** A bound claim grows only when its class says that volumes can. */
export function persistentVolumeClaimResize(deps: PluginDeps): AdmissionPlugin {
  return {
    name: 'PersistentVolumeClaimResize',
    async validate(request) {
      if (request.operation !== 'UPDATE' || !isAbout(request, PERSISTENT_VOLUME_CLAIMS)) return;
      const claim = request.object as unknown as PersistentVolumeClaim;
      if (!grows(request) || claim.status?.phase !== 'Bound') return;
      const name = claim.metadata.annotations?.[CLASS_BETA] ?? claim.spec?.storageClassName ?? '';
      const storageClass =
        name === '' ? undefined : await lookUp(deps, STORAGE_CLASSES, { namespace: '', name });
      if (storageClass?.allowVolumeExpansion) return;
      throw forbiddenByAdmission(
        request,
        'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
      );
    },
  };
}

function grows({ object, old }: AdmissionRequest): boolean {
  const sizeOf = (claim: unknown) =>
    parseQuantity((claim as PersistentVolumeClaim).spec?.resources?.requests?.storage ?? '0');
  return compareQuantities(sizeOf(object), sizeOf(old)) > 0;
}
