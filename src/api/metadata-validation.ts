import { type FieldError, forbidden, invalid, required, tooLong } from './field-errors.ts';
import { dns1123Label, labelValue, qualifiedName } from './names.ts';
import type { ObjectMeta, OwnerReference } from './types.ts';

export const IMMUTABLE = 'field is immutable';
const MAX_ANNOTATIONS_BYTES = 256 * 1024;
const MAX_MANAGER_BYTES = 128;

/** How a kind's names are checked; see `nameCheck` of names.ts. */
export interface MetadataRules {
  readonly namespaced: boolean;
  validateName(name: string, prefix: boolean): string[];
}

/** What is wrong with the metadata of an object to be created, after its name was generated. */
export function validateObjectMeta(
  meta: ObjectMeta,
  rules: MetadataRules,
  path = 'metadata',
): FieldError[] {
  const out: FieldError[] = [];
  const { generateName, name } = meta;
  if (generateName) {
    for (const message of rules.validateName(generateName, true)) {
      out.push(invalid(`${path}.generateName`, generateName, message));
    }
  }
  if (!name) out.push(required(`${path}.name`, 'name or generateName is required'));
  else {
    for (const message of rules.validateName(name, false)) {
      out.push(invalid(`${path}.name`, name, message));
    }
  }
  return [...out, ...validateNamespace(meta, rules, path), ...validateCommon(meta, path)];
}

function validateNamespace(meta: ObjectMeta, rules: MetadataRules, path: string): FieldError[] {
  const field = `${path}.namespace`;
  const { namespace } = meta;
  if (!rules.namespaced) return namespace ? [forbidden(field, 'not allowed on this type')] : [];
  if (!namespace) return [required(field)];
  return dns1123Label(namespace).map((message) => invalid(field, namespace, message));
}

function validateCommon(meta: ObjectMeta, path: string): FieldError[] {
  const out: FieldError[] = [];
  if ((meta.generation ?? 0) < 0) {
    const detail = 'must be greater than or equal to 0';
    out.push(invalid(`${path}.generation`, meta.generation, detail));
  }
  return [
    ...out,
    ...validateLabels(meta.labels, `${path}.labels`),
    ...validateAnnotations(meta.annotations, `${path}.annotations`),
    ...validateOwnerReferences(meta, `${path}.ownerReferences`),
    ...validateFinalizers(meta.finalizers ?? [], `${path}.finalizers`),
    ...validateManagedFields(meta, `${path}.managedFields`),
  ];
}

export function validateLabels(
  labels: Readonly<Record<string, string>> | undefined,
  field: string,
): FieldError[] {
  return Object.entries(labels ?? {}).flatMap(([key, value]) => [
    ...qualifiedName(key).map((message) => invalid(field, key, message)),
    ...labelValue(value).map((message) => invalid(field, value, message)),
  ]);
}

export function validateAnnotations(
  annotations: Readonly<Record<string, string>> | undefined,
  field: string,
): FieldError[] {
  const out: FieldError[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    out.push(...qualifiedName(key.toLowerCase()).map((message) => invalid(field, key, message)));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > MAX_ANNOTATIONS_BYTES) out.push(tooLong(field, MAX_ANNOTATIONS_BYTES));
  return out;
}

function validateOwnerReferences(meta: ObjectMeta, field: string): FieldError[] {
  const references = meta.ownerReferences ?? [];
  const out = references.flatMap((reference) => validateOwnerReference(reference, field));
  const [first, ...more] = references.filter((r) => r.controller).map((r) => `${r.kind}/${r.name}`);
  for (const other of more) {
    const detail = `Only one reference can have Controller set to true. Found "true" in references for ${first} and ${other}`;
    out.push(invalid(field, references, detail));
  }
  return out;
}

function validateOwnerReference(ref: OwnerReference, field: string): FieldError[] {
  const out: FieldError[] = [];
  if (versionOf(ref.apiVersion) === '') {
    out.push(invalid(`${field}.apiVersion`, ref.apiVersion, 'version must not be empty'));
  }
  for (const part of ['kind', 'name', 'uid'] as const) {
    if (!ref[part]) out.push(invalid(`${field}.${part}`, ref[part] ?? '', 'must not be empty'));
  }
  if (ref.apiVersion === 'v1' && ref.kind === 'Event') {
    out.push(invalid(field, ref, '/v1, Kind=Event is disallowed from being an owner'));
  }
  return out;
}

function versionOf(apiVersion: string | undefined): string {
  const parts = (apiVersion ?? '').split('/');
  return parts.length > 2 ? '' : (parts.at(-1) ?? '');
}

function validateFinalizers(finalizers: readonly string[], field: string): FieldError[] {
  const out = finalizers.flatMap((name) =>
    qualifiedName(name).map((message) => invalid(field, name, message)),
  );
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion')) {
    const detail = 'finalizer orphan and foregroundDeletion cannot be both set';
    out.push(invalid(field, finalizers, detail));
  }
  return out;
}

function validateManagedFields(meta: ObjectMeta, field: string): FieldError[] {
  const out: FieldError[] = [];
  for (const [index, entry] of (meta.managedFields ?? []).entries()) {
    const at = `${field}[${index}]`;
    if (entry.operation !== 'Apply' && entry.operation !== 'Update') {
      out.push(invalid(`${at}.operation`, entry.operation ?? '', 'must be `Apply` or `Update`'));
    }
    if (entry.fieldsType && entry.fieldsType !== 'FieldsV1') {
      out.push(invalid(`${at}.fieldsType`, entry.fieldsType, 'must be `FieldsV1`'));
    }
    out.push(...validateFieldManager(entry.manager ?? '', `${at}.manager`));
  }
  return out;
}

/** A field manager's name: short and printable. */
export function validateFieldManager(manager: string, field: string): FieldError[] {
  const out: FieldError[] = [];
  if (Buffer.byteLength(manager) > MAX_MANAGER_BYTES) out.push(tooLong(field, MAX_MANAGER_BYTES));
  const bad = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.exec(manager);
  if (bad) out.push(invalid(field, manager, 'should only contain printable characters'));
  return out;
}

const FIXED = [
  'name',
  'namespace',
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
] as const;

/** What an update of the metadata may not do. */
export function validateObjectMetaUpdate(
  meta: ObjectMeta,
  old: ObjectMeta,
  path = 'metadata',
): FieldError[] {
  const out: FieldError[] = [];
  if (old.deletionTimestamp !== undefined) {
    const added = (meta.finalizers ?? []).filter((f) => !old.finalizers?.includes(f));
    if (added.length > 0) out.push(forbidden(`${path}.finalizers`, newFinalizers(added)));
  }
  if (!meta.resourceVersion) {
    out.push(invalid(`${path}.resourceVersion`, '', 'must be specified for an update'));
  }
  if ((meta.generation ?? 0) < (old.generation ?? 0)) {
    out.push(invalid(`${path}.generation`, meta.generation ?? 0, 'must not be decremented'));
  }
  for (const field of FIXED) {
    if (meta[field] !== old[field]) out.push(invalid(`${path}.${field}`, meta[field], IMMUTABLE));
  }
  return [...out, ...validateCommon(meta, path)];
}

function newFinalizers(added: readonly string[]): string {
  const list = [...added].sort().map((f) => JSON.stringify(f));
  return `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list.join(', ')}}`;
}
