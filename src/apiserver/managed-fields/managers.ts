import type { KubeObject } from '../../api/types.ts';
import { isObject } from '../../util/json.ts';
import { type FieldSet, fieldsV1, parseFieldsV1, union } from './field-set.ts';

/** Who changed an object, how, and through which version and sub-resource. */
export interface ManagerIdentity {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly subresource: string;
}

/** One entry of metadata.managedFields. */
export interface Manager extends ManagerIdentity {
  /** RFC 3339, whole seconds. */
  readonly time: string | undefined;
  readonly fields: FieldSet;
}

/** By `managerKey`. */
export type Managers = Map<string, Manager>;

/** An applier is the same whatever version it speaks; an updater is one per version. */
export function managerKey(of: ManagerIdentity): string {
  const version = of.operation === 'Apply' ? '' : of.apiVersion;
  return JSON.stringify([of.operation, of.manager, version, of.subresource]);
}

/** The entries of an object; undefined when any of them is malformed. */
function decodeManagers(entries: readonly unknown[]): Managers | undefined {
  const managers: Managers = new Map();
  for (const entry of entries) {
    const decoded = decodeManager(entry);
    if (decoded === undefined) return undefined;
    managers.set(managerKey(decoded), decoded);
  }
  return managers;
}

function decodeManager(entry: unknown): Manager | undefined {
  if (!isObject(entry)) return undefined;
  const { manager = '', operation, apiVersion, subresource = '', time, fieldsType } = entry;
  if (operation !== 'Apply' && operation !== 'Update') return undefined;
  if (fieldsType !== 'FieldsV1' || typeof apiVersion !== 'string') return undefined;
  if (typeof manager !== 'string' || typeof subresource !== 'string') return undefined;
  const fields = parseFieldsV1(entry.fieldsV1 ?? {});
  if (fields === undefined) return undefined;
  return {
    manager,
    operation,
    apiVersion,
    subresource,
    time: typeof time === 'string' ? time : undefined,
    fields,
  };
}

/**
 * The managers of an object as a write begins. A writer of the main resource may rewrite the entries itself;
 * a list of one empty entry wipes them. What is missing or malformed is read from the live object.
 */
export function managersOf(
  live: KubeObject | undefined,
  object: KubeObject,
  subresource: string,
): Managers {
  const given = object.metadata.managedFields;
  if (subresource === '' && Array.isArray(given) && given.length > 0) {
    if (isWipe(given)) return new Map();
    const decoded = decodeManagers(given);
    if (decoded !== undefined) return decoded;
  }
  return liveManagers(live);
}

function isWipe(entries: readonly unknown[]): boolean {
  const [only] = entries;
  return entries.length === 1 && isObject(only) && Object.keys(only).length === 0;
}

export function liveManagers(live: KubeObject | undefined): Managers {
  const entries = live?.metadata.managedFields;
  return (Array.isArray(entries) ? decodeManagers(entries) : undefined) ?? new Map();
}

type ManagedFieldsEntry = NonNullable<KubeObject['metadata']['managedFields']>[number];

/** The wire form in upstream's order: appliers first, then by time and name. */
export function encodeManagers(managers: Managers): ManagedFieldsEntry[] {
  return [...managers.values()].toSorted(compareManagers).map((of) => ({
    manager: of.manager,
    operation: of.operation,
    apiVersion: of.apiVersion,
    ...(of.time === undefined ? {} : { time: of.time }),
    fieldsType: 'FieldsV1',
    fieldsV1: fieldsV1(of.fields),
    ...(of.subresource === '' ? {} : { subresource: of.subresource }),
  }));
}

function compareManagers(a: Manager, b: Manager): number {
  const key = ({ operation, time = '', manager, apiVersion, subresource }: Manager) =>
    [operation, time, manager, apiVersion, subresource].join('\0');
  return key(a) < key(b) ? -1 : 1;
}

/** How many entries updates may leave; older ones become one per version. */
const MAX_UPDATERS = 10;
const OLD_CHANGES = 'ancient-changes';

/** Folds the oldest updaters of one version together until at most ten are left. */
export function capUpdaters(managers: Managers): void {
  const updaters = [...managers.values()]
    .filter(({ operation }) => operation === 'Update')
    .toSorted(compareManagers);
  let count = updaters.length;
  const firstOf = new Map<string, Manager>();
  for (const updater of updaters) {
    if (count <= MAX_UPDATERS) return;
    const first = firstOf.get(updater.apiVersion);
    if (first === undefined) {
      firstOf.set(updater.apiVersion, updater);
      continue;
    }
    const bucket = { ...first, manager: OLD_CHANGES, subresource: '', time: updater.time };
    const fields = union(managers.get(managerKey(bucket))?.fields ?? first.fields, updater.fields);
    managers.delete(managerKey(first));
    managers.delete(managerKey(updater));
    managers.set(managerKey(bucket), { ...bucket, fields });
    count--;
  }
}
