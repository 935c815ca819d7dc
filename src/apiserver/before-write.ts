import { randomBytes, randomUUID } from 'node:crypto';
import { badRequest, conflict } from '../api/errors.ts';
import { type FieldError, invalid, invalidObject } from '../api/field-errors.ts';
import { validateObjectMeta, validateObjectMetaUpdate } from '../api/metadata-validation.ts';
import { dns1123Subdomain, nameCheck } from '../api/names.ts';
import type { KubeObject } from '../api/types.ts';
import { jsonEqual } from '../util/json.ts';
import type { ResourceKind, Strategy, WriteContext } from './resource-kind.ts';

// No vowels and no look-alikes, so that no words appear (apimachinery util/rand).
const SUFFIX_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const SUFFIX_LENGTH = 5;
const MAX_GENERATED_BASE = 63 - SUFFIX_LENGTH;

export function generateName(base: string): string {
  let suffix = '';
  for (const byte of randomBytes(SUFFIX_LENGTH)) {
    suffix += SUFFIX_ALPHABET[byte % SUFFIX_ALPHABET.length];
  }
  return base.slice(0, MAX_GENERATED_BASE) + suffix;
}

/** RFC 3339 in whole seconds, as meta/v1 Time is written. */
export function timestamp(now: number): string {
  return `${new Date(now).toISOString().slice(0, 19)}Z`;
}

/** Gives a new object what only the server gives (rest.BeforeCreate), without validating it. */
export function prepareCreate(kind: ResourceKind, object: KubeObject, context: WriteContext): void {
  const { metadata } = object;
  if (metadata.resourceVersion) {
    throw badRequest('resourceVersion should not be set on objects to be created');
  }
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.selfLink;
  delete metadata.generation;
  if (!metadata.name && metadata.generateName) metadata.name = generateName(metadata.generateName);
  metadata.creationTimestamp = timestamp(context.now);
  metadata.uid = randomUUID();
  kind.strategy.prepareForCreate?.(object, context);
  if (hasGeneration(kind.strategy, object)) metadata.generation = 1;
}

export function validateCreate(
  kind: ResourceKind,
  object: KubeObject,
  context: WriteContext,
): void {
  const errors = [
    ...validateObjectMeta(object.metadata, rulesOf(kind)),
    ...(kind.strategy.validate?.(object, context) ?? []),
  ];
  refuse(kind, object, errors);
  for (const warning of kind.strategy.warnings?.(object) ?? []) context.warn(warning);
}

/** Keeps what nobody may change and counts the generation (rest.BeforeUpdate), without validating. */
export function prepareUpdate(
  write: { kind: ResourceKind; strategy: Strategy; object: KubeObject; old: KubeObject },
  context: WriteContext,
): void {
  const { kind, strategy, object, old } = write;
  const { metadata } = object;
  for (const field of ['uid', 'creationTimestamp', 'name', 'namespace'] as const) {
    if (!metadata[field] && old.metadata[field]) metadata[field] = old.metadata[field];
  }
  keepDeletion(object, old);
  delete metadata.selfLink;
  delete metadata.generation;
  if (old.metadata.generation !== undefined) metadata.generation = old.metadata.generation;
  strategy.prepareForUpdate?.(object, old, context);
  const { generation } = metadata;
  if (generation === undefined) {
    if (hasGeneration(kind.strategy, object)) metadata.generation = 1;
  } else if (specChanged({ ...kind.strategy, ...strategy }, object, old)) {
    metadata.generation = generation + 1;
  }
}

/** Only a delete may set or shorten these. */
function keepDeletion({ metadata }: KubeObject, old: KubeObject): void {
  const { deletionTimestamp, deletionGracePeriodSeconds } = old.metadata;
  if (deletionTimestamp === undefined) {
    delete metadata.deletionTimestamp;
    delete metadata.deletionGracePeriodSeconds;
    return;
  }
  metadata.deletionTimestamp = deletionTimestamp;
  if (deletionGracePeriodSeconds === undefined) delete metadata.deletionGracePeriodSeconds;
  else metadata.deletionGracePeriodSeconds = deletionGracePeriodSeconds;
}

export function validateUpdate(
  write: { kind: ResourceKind; strategy: Strategy; object: KubeObject; old: KubeObject },
  context: WriteContext,
): void {
  const { kind, strategy, object, old } = write;
  const errors = [
    ...validateObjectMetaUpdate(object.metadata, old.metadata),
    ...(strategy.validateUpdate?.(object, old, context) ?? []),
  ];
  refuse(kind, object, errors);
  for (const warning of strategy.warnings?.(object, old) ?? []) context.warn(warning);
}

/** Optimistic locking: an update may name the version that it was made from. */
export function checkVersion(
  kind: ResourceKind,
  object: KubeObject,
  old: KubeObject,
  strategy: Strategy,
): void {
  const { resourceVersion, uid, name = '' } = object.metadata;
  if (uid && uid !== old.metadata.uid) {
    throw conflict(
      kind,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`,
    );
  }
  if (!resourceVersion || resourceVersion === '0') {
    if (!strategy.requireResourceVersion) return;
    refuse(kind, object, [
      invalid('metadata.resourceVersion', 0, 'must be specified for an update'),
    ]);
  }
  if (resourceVersion !== old.metadata.resourceVersion) throw modified(kind, name);
}

export function modified(kind: ResourceKind, name: string): Error {
  const why =
    'the object has been modified; please apply your changes to the latest version and try again';
  return conflict(kind, name, why);
}

const subdomainName = nameCheck(dns1123Subdomain);

function rulesOf({ namespaced, strategy }: ResourceKind) {
  return { namespaced, validateName: strategy.validateName ?? subdomainName };
}

function refuse(kind: ResourceKind, object: KubeObject, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalidObject(kind, object.metadata.name ?? '', errors);
}

function hasGeneration(strategy: Strategy, object: KubeObject): boolean {
  if (strategy.generationFields) return strategy.generationFields.length > 0;
  return object.spec !== undefined;
}

const NOT_SPEC = new Set(['apiVersion', 'kind', 'metadata', 'status']);

function specChanged(strategy: Strategy, object: KubeObject, old: KubeObject): boolean {
  const fields =
    strategy.generationFields ??
    [...new Set([...Object.keys(object), ...Object.keys(old)])].filter((f) => !NOT_SPEC.has(f));
  return fields.some((field) => !jsonEqual(object[field], old[field]));
}
