import { apiVersionOf } from '../api/resource-types.ts';
import type { Schema } from '../api/schema.ts';
import type { KubeObject } from '../api/types.ts';
import { compare } from './managed-fields/compare.ts';
import {
  difference,
  EMPTY_SET,
  type FieldSet,
  FieldSetBuilder,
  union,
  without,
} from './managed-fields/field-set.ts';
import {
  capUpdaters,
  encodeManagers,
  type Manager,
  type Managers,
  managerKey,
  managersOf,
} from './managed-fields/managers.ts';
import { fieldElement } from './managed-fields/path-elements.ts';
import type { Slot } from './managed-fields/shape.ts';
import type { ResourceKind } from './resource-kind.ts';

/** What field management must know of a write. */
export interface FieldWrite {
  readonly kind: ResourceKind;
  readonly schema: Schema;
  /** `status`, `scale`, …; empty for the object itself. */
  readonly subresource: string;
  /** The fieldManager parameter, or what `managerFromUserAgent` made of the client's name. */
  readonly manager: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Who writes, where no fieldManager parameter says it: the user agent up to its first slash. */
export function managerFromUserAgent(userAgent: string | undefined): string {
  const name = (userAgent ?? '').split('/')[0] ?? '';
  const printable = [...name].filter((char) => /[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(char)).join('');
  return printable.slice(0, 128) || 'unknown';
}

/**
 * Writes into `object.metadata.managedFields` what a create, update or patch (other than apply) changed against
 * `live`. Call it on the decoded and defaulted object, before admission: what admission adds has no manager.
 */
export function trackUpdate(
  live: KubeObject | undefined,
  object: KubeObject,
  write: FieldWrite,
): void {
  const managers = managersOf(live, object, write.subresource);
  const before = live ?? { apiVersion: object.apiVersion, kind: object.kind, metadata: {} };
  const slot = slotOf(write.kind);
  const ignored = ignoredFields(write);
  const found = compare(write.schema, slot, before, object);
  const changed = without(union(found.added, found.modified), ignored);
  const removed = without(found.removed, ignored);
  const own = ownKey(write);
  const previous = managers.get(own);
  takeAway(managers, union(changed, removed));
  if (changed.size > 0) {
    managers.set(own, {
      manager: write.manager,
      operation: 'Update',
      apiVersion: object.apiVersion,
      subresource: write.subresource,
      time: wholeSeconds(write.now),
      fields: difference(union(previous?.fields ?? EMPTY_SET, changed), removed),
    });
    capUpdaters(managers);
  }
  setManagers(object, managers);
}

function ownKey(write: FieldWrite): string {
  return managerKey({
    manager: write.manager,
    operation: 'Update',
    apiVersion: apiVersionOf(write.kind),
    subresource: write.subresource,
  });
}

export function slotOf(kind: ResourceKind): Slot {
  return { type: { kind: 'object', name: kind.definition } };
}

/** Takes `fields` away from every manager; those that hold nothing more go. */
export function takeAway(managers: Managers, fields: FieldSet): void {
  if (fields.size === 0) return;
  for (const [key, manager] of managers) {
    const left = difference(manager.fields, fields);
    if (left.size === 0) managers.delete(key);
    else if (left !== manager.fields) managers.set(key, { ...manager, fields: left });
  }
}

export function setManagers(object: KubeObject, managers: Managers): void {
  const told = new Map<string, Manager>();
  for (const [key, manager] of managers) {
    const fields = manageable(manager.fields);
    if (fields.size > 0) told.set(key, { ...manager, fields });
  }
  object.metadata.managedFields = encodeManagers(told);
}

export function wholeSeconds(now: number): string {
  return `${new Date(now).toISOString().slice(0, 19)}Z`;
}

/** What the server itself writes: nobody manages it. */
const UNMANAGED = pathSet(
  ['apiVersion'],
  ['kind'],
  ['metadata'],
  ['metadata', 'name'],
  ['metadata', 'namespace'],
  ['metadata', 'creationTimestamp'],
  ['metadata', 'selfLink'],
  ['metadata', 'uid'],
  ['metadata', 'generation'],
  ['metadata', 'managedFields'],
  ['metadata', 'resourceVersion'],
);

export function manageable(fields: FieldSet): FieldSet {
  return difference(fields, UNMANAGED);
}

const STATUS = pathSet(['status']);
const SPEC = pathSet(['spec']);
const SPEC_AND_METADATA = pathSet(['spec'], ['metadata']);

/** What a write to this (sub-)resource cannot change, so that saying it means nothing. */
export function ignoredFields({ kind, subresource }: FieldWrite): FieldSet {
  const view = Object.hasOwn(kind.subresources, subresource) && kind.subresources[subresource];
  if (view && view.type === 'view' && view.resets) {
    return view.resets.includes('metadata') ? SPEC_AND_METADATA : SPEC;
  }
  return subresource === '' && Object.hasOwn(kind.subresources, 'status') ? STATUS : EMPTY_SET;
}

function pathSet(...paths: string[][]): FieldSet {
  const builder = new FieldSetBuilder();
  for (const path of paths) builder.insert(path.map(fieldElement));
  return builder.build();
}
