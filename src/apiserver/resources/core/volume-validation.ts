import { type FieldError, forbidden, invalid, required } from '../../../api/field-errors.ts';
import { dns1123Subdomain } from '../../../api/names.ts';
import { compareQuantities, parseQuantity, ZERO } from '../../../api/quantity.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../../../api/types.ts';
import { cloneJson, jsonEqual } from '../../../util/json.ts';
import { validateNodeTerm } from '../pod-spec/validate-scheduling.ts';
import { validateDriverName } from '../storage/validation.ts';
import {
  checked,
  each,
  immutable,
  mustBeThere,
  oneOf,
  optionalOneOf,
  requiredAnd,
  validateLabelSelector,
} from '../validation.ts';

const ACCESS_MODES = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];
const MODES = ['Block', 'Filesystem'];
const RECLAIM = ['Delete', 'Recycle', 'Retain'];

/** The fields of a PersistentVolume's spec that are not its source. */
const NOT_A_SOURCE = new Set([
  'accessModes',
  'capacity',
  'claimRef',
  'mountOptions',
  'nodeAffinity',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'volumeAttributesClassName',
  'volumeMode',
]);

function validateAccessModes(modes: readonly string[] | undefined, field: string): FieldError[] {
  const out = mustBeThere(modes ?? [], field, 'at least 1 access mode is required');
  out.push(...each(modes, field, (mode) => oneOf(mode, ACCESS_MODES, field)));
  if (modes?.includes('ReadWriteOncePod') && modes.length > 1) {
    const detail = 'may not use ReadWriteOncePod with other access modes';
    out.push(forbidden(field, detail));
  }
  return out;
}

export function validateVolume({ spec }: PersistentVolume): FieldError[] {
  if (!spec) return [required('spec')];
  const { capacity = {}, nodeAffinity } = spec;
  const out = validateAccessModes(spec.accessModes, 'spec.accessModes');
  const names = Object.keys(capacity);
  if (names.length === 0) out.push(required('spec.capacity'));
  else if (capacity.storage === undefined || names.length > 1) {
    out.push(
      ...oneOf(
        names.find((n) => n !== 'storage'),
        ['storage'],
        'spec.capacity',
      ),
    );
  }
  for (const [name, text] of Object.entries(capacity)) {
    if (compareQuantities(parseQuantity(text), ZERO) > 0) continue;
    out.push(invalid(`spec.capacity[${name}]`, text, 'must be greater than zero'));
  }
  out.push(
    ...oneOf(spec.persistentVolumeReclaimPolicy, RECLAIM, 'spec.persistentVolumeReclaimPolicy'),
    ...optionalOneOf(spec.volumeMode, MODES, 'spec.volumeMode'),
    ...sourceErrors(spec),
  );
  if (spec.storageClassName) {
    out.push(...checked(spec.storageClassName, dns1123Subdomain, 'spec.storageClassName'));
  }
  const terms = 'spec.nodeAffinity.required.nodeSelectorTerms';
  return [...out, ...each(nodeAffinity?.required?.nodeSelectorTerms, terms, validateNodeTerm)];
}

function sourceErrors(spec: NonNullable<PersistentVolume['spec']>): FieldError[] {
  const [first, ...others] = Object.entries(spec)
    .filter(([field, value]) => value !== undefined && !NOT_A_SOURCE.has(field))
    .map(([field]) => field);
  if (first === undefined) return [required('spec', 'must specify a volume type')];
  const out = others.map((kind) =>
    forbidden(`spec.${kind}`, 'may not specify more than 1 volume type'),
  );
  if (first === 'local' && !spec.nodeAffinity) {
    out.push(required('spec.nodeAffinity', 'Local volume requires node affinity'));
  }
  if (first === 'hostPath') {
    out.push(...mustBeThere(spec.hostPath?.path, 'spec.hostPath.path'));
    if (spec.hostPath?.path === '/' && spec.persistentVolumeReclaimPolicy === 'Recycle') {
      const detail = "may not be 'recycle' for a hostPath mount of '/'";
      out.push(forbidden('spec.persistentVolumeReclaimPolicy', detail));
    }
  }
  if (first === 'csi') {
    out.push(
      ...validateDriverName(spec.csi?.driver ?? '', 'spec.csi.driver'),
      ...mustBeThere(spec.csi?.volumeHandle, 'spec.csi.volumeHandle'),
    );
  }
  return out;
}

export function validateVolumeUpdate(next: PersistentVolume, old: PersistentVolume): FieldError[] {
  const out = validateVolume(next);
  const [spec, was] = [next.spec, old.spec];
  if (!spec || !was) return out;
  const source = (s: object) =>
    Object.fromEntries(Object.entries(s).filter(([field]) => !NOT_A_SOURCE.has(field)));
  if (!jsonEqual(source(spec), source(was))) {
    const detail = 'spec.persistentvolumesource is immutable after creation';
    out.push(forbidden('spec.persistentvolumesource', detail));
  }
  out.push(...immutable(spec.volumeMode, was.volumeMode, 'spec.volumeMode'));
  if (was.nodeAffinity)
    out.push(...immutable(spec.nodeAffinity, was.nodeAffinity, 'spec.nodeAffinity'));
  return out;
}

export function validateClaim({ spec }: PersistentVolumeClaim): FieldError[] {
  return spec ? validateClaimSpec(spec, 'spec') : [required('spec')];
}

type ClaimSpec = NonNullable<PersistentVolumeClaim['spec']>;

/** A claim's spec, its own or the one in a template. */
export function validateClaimSpec(spec: ClaimSpec, path: string): FieldError[] {
  const out = validateAccessModes(spec.accessModes, `${path}.accessModes`);
  if (spec.selector) out.push(...validateLabelSelector(spec.selector, `${path}.selector`));
  const storage = spec.resources?.requests?.storage;
  const field = `${path}.resources`;
  if (storage === undefined) out.push(required(`${field}[storage]`));
  else if (compareQuantities(parseQuantity(storage), ZERO) <= 0) {
    out.push(invalid(`${field}.requests.storage`, storage, 'must be greater than zero'));
  }
  if (spec.storageClassName) {
    out.push(...checked(spec.storageClassName, dns1123Subdomain, `${path}.storageClassName`));
  }
  out.push(...optionalOneOf(spec.volumeMode, MODES, `${path}.volumeMode`));
  for (const part of ['dataSource', 'dataSourceRef'] as const) {
    const source = spec[part];
    if (!source) continue;
    out.push(
      ...requiredAnd(source.name, () => [], `${path}.${part}.name`),
      ...mustBeThere(source.kind, `${path}.${part}.kind`),
    );
    if (!source.apiGroup && source.kind !== 'PersistentVolumeClaim') {
      const detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
      out.push(invalid(`${path}.${part}`, source.kind, detail));
    }
  }
  return out;
}

const CLAIM_FIXED =
  'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';

export function validateClaimUpdate(
  next: PersistentVolumeClaim,
  old: PersistentVolumeClaim,
): FieldError[] {
  const out = validateClaim(next);
  const [spec, was] = [next.spec, old.spec];
  if (!spec || !was) return out;
  const same = cloneJson(spec);
  // Binding fills these in; a bound claim may also grow.
  if (!was.volumeName && spec.volumeName) delete same.volumeName;
  if (was.storageClassName === undefined) same.storageClassName = was.storageClassName;
  if (old.status?.phase === 'Bound') {
    same.resources = was.resources;
    same.volumeAttributesClassName = was.volumeAttributesClassName;
  }
  if (!jsonEqual(same, was)) out.push(forbidden('spec', CLAIM_FIXED));
  const [size, before] = [spec.resources?.requests?.storage, was.resources?.requests?.storage];
  if (size === undefined || before === undefined) return out;
  const [asked, given] = [
    parseQuantity(size),
    parseQuantity(old.status?.capacity?.storage ?? before),
  ];
  if (compareQuantities(asked, parseQuantity(before)) < 0 && compareQuantities(asked, given) <= 0) {
    const detail = 'field can not be less than status.capacity';
    out.push(forbidden('spec.resources.requests.storage', detail));
  }
  return out;
}
