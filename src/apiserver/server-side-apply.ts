import { ApiError, badRequest, type StatusCause } from '../api/errors.ts';
import { apiVersionOf } from '../api/resource-types.ts';
import type { KubeObject } from '../api/types.ts';
import { parseJson } from '../util/exact-json.ts';
import { cloneJson, isObject, jsonEqual } from '../util/json.ts';
import { compare } from './managed-fields/compare.ts';
import {
  difference,
  EMPTY_SET,
  type FieldSet,
  intersection,
  members,
  setsEqual,
  union,
  without,
} from './managed-fields/field-set.ts';
import { appliedFields, fieldSetOf } from './managed-fields/field-set-of.ts';
import {
  liveManagers,
  type Manager,
  type Managers,
  managerKey,
} from './managed-fields/managers.ts';
import { merge } from './managed-fields/merge.ts';
import { pathText } from './managed-fields/path-elements.ts';
import { remove, withNamedFields } from './managed-fields/remove.ts';
import {
  type FieldWrite,
  ignoredFields,
  manageable,
  setManagers,
  slotOf,
  takeAway,
  wholeSeconds,
} from './managed-fields.ts';

export interface ApplyWrite extends FieldWrite {
  /** Take over fields that other managers hold. */
  readonly force: boolean;
}

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
const MAX_ANNOTATION_BYTES = 256 * 1024;
/** The manager that kubectl names by default: only it inherits from client-side apply. */
const KUBECTL = 'kubectl';

/**
 * Server-side apply (KEP-555): merges `config` into `live` and drops what this manager applied before and
 * gives up now, unless others hold it. Answers the new object with its managedFields; neither argument changes.
 * A field that another manager holds with another value is a Conflict, unless forced.
 */
export function applyConfiguration(
  live: KubeObject | undefined,
  config: KubeObject,
  write: ApplyWrite,
): KubeObject {
  checkConfiguration(config, write);
  const base = withoutManagedFields(
    live ?? { apiVersion: config.apiVersion, kind: config.kind, metadata: {} },
  );
  try {
    return apply(live, base, config, write);
  } catch (err) {
    if (!(err instanceof ApplyConflict)) throw err;
    const inherited = inheritedFields(base, write);
    const conflicts = err.conflicts
      .map(({ manager, fields }) => ({ manager, fields: difference(fields, inherited) }))
      .filter(({ fields }) => fields.size > 0);
    if (conflicts.length > 0) throw conflictError(conflicts);
    return apply(live, base, config, { ...write, force: true });
  }
}

/**
 * An apply that changed nothing but the times of its managers changed nothing: `object` then gets the
 * managedFields of `live` back, so that the store sees no difference.
 */
export function keepUnchangedTimes(live: KubeObject, object: KubeObject): void {
  const before = live.metadata.managedFields ?? [];
  const after = object.metadata.managedFields ?? [];
  const timeless = (entries: typeof before) => entries.map(({ time: _, ...entry }) => entry);
  if (!jsonEqual(timeless(before), timeless(after))) return;
  if (!jsonEqual(withoutManagedFields(live), withoutManagedFields(object))) return;
  object.metadata.managedFields = before;
}

function checkConfiguration(config: KubeObject, { kind }: ApplyWrite): void {
  if (config.metadata !== undefined && !isObject(config.metadata)) {
    throw badRequest('metadata must be an object');
  }
  const entries: unknown = config.metadata?.managedFields;
  if (Array.isArray(entries) && entries.length > 0) {
    throw badRequest('metadata.managedFields must be nil');
  }
  const wanted = apiVersionOf(kind);
  if (config.apiVersion !== wanted) {
    throw badRequest(
      `Incorrect version specified in apply patch. Specified patch version: ${config.apiVersion}, expected: ${wanted}`,
    );
  }
}

function apply(
  live: KubeObject | undefined,
  base: KubeObject,
  config: KubeObject,
  write: ApplyWrite,
): KubeObject {
  const { schema } = write;
  const slot = slotOf(write.kind);
  const managers = liveManagers(live);
  const identity = {
    manager: write.manager,
    operation: 'Apply' as const,
    apiVersion: config.apiVersion,
    subresource: write.subresource,
  };
  const key = managerKey(identity);
  const last = managers.get(key);
  const fields = without(appliedFields(schema, slot, config), ignoredFields(write));
  managers.set(key, { ...identity, fields, time: last?.time });
  const merged = merge(schema, slot, base, config) as KubeObject;
  // What is applied again, with all that it lies in, stays whoever else holds it.
  const givenUp = last ? difference(last.fields, fields) : EMPTY_SET;
  const result = last && givenUp.size > 0 ? prune(merged, last.fields, managers, write) : merged;
  settleConflicts(managers, key, compare(schema, slot, base, result), write);
  const isChanged =
    !jsonEqual(base, result) || !setsEqual(last?.fields ?? EMPTY_SET, manageable(fields));
  const own = managers.get(key);
  if (own && (isChanged || own.time === undefined)) {
    managers.set(key, { ...own, time: wholeSeconds(write.now) });
  }
  setManagers(result, managers);
  syncLastApplied(result, config, write);
  return result;
}

/** Keeps the annotation of client-side apply true where it is, so that its users can go back and forth. */
function syncLastApplied(result: KubeObject, config: KubeObject, { manager }: ApplyWrite): void {
  const { annotations } = result.metadata;
  if (manager !== KUBECTL || annotations?.[LAST_APPLIED] === undefined) return;
  const { [LAST_APPLIED]: _, ...told } = config.metadata.annotations ?? {};
  const metadata = { ...config.metadata, annotations: told };
  const text = `${JSON.stringify({ ...config, metadata })}\n`;
  if (text.length <= MAX_ANNOTATION_BYTES) annotations[LAST_APPLIED] = text;
  else delete annotations[LAST_APPLIED];
}

function withoutManagedFields(object: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** Drops what `last` held and nobody holds any more. */
function prune(
  merged: KubeObject,
  last: FieldSet,
  managers: Managers,
  { schema, kind }: ApplyWrite,
): KubeObject {
  const slot = slotOf(kind);
  const named = (set: FieldSet) => withNamedFields(schema, slot, set);
  const setOf = (value: unknown) => named(fieldSetOf(schema, slot, value ?? {}));
  const held = named([...managers.values()].reduce((all, m) => union(all, m.fields), EMPTY_SET));
  const all = setOf(merged);
  const lastNamed = named(last);
  const gone = difference(all, setOf(remove(schema, slot, merged, lastNamed)));
  // Of what falls with the given-up fields, stays what others hold; and what was never this manager's.
  const unheld = remove(schema, slot, merged, difference(gone, held));
  const stillGone = difference(all, setOf(unheld));
  const pruned = remove(schema, slot, merged, intersection(stillGone, lastNamed));
  return (pruned ?? cloneJson(merged)) as KubeObject;
}

interface Conflict {
  readonly manager: Manager;
  readonly fields: FieldSet;
}

class ApplyConflict extends Error {
  override readonly name = 'ApplyConflict';
  readonly conflicts: readonly Conflict[];

  constructor(conflicts: readonly Conflict[]) {
    super('conflicts with other managers');
    this.conflicts = conflicts;
  }
}

/** Others lose what this apply changes (with force) or removes; without force their loss is a conflict. */
function settleConflicts(
  managers: Managers,
  own: string,
  found: { added: FieldSet; modified: FieldSet; removed: FieldSet },
  { force }: ApplyWrite,
): void {
  const changed = union(found.added, found.modified);
  const others = [...managers].filter(([key]) => key !== own);
  const conflicts = others
    .map(([, manager]) => ({ manager, fields: intersection(manager.fields, changed) }))
    .filter(({ fields }) => fields.size > 0);
  if (conflicts.length > 0 && !force) throw new ApplyConflict(conflicts);
  const mine = managers.get(own);
  takeAway(managers, union(changed, found.removed));
  if (mine && mine.fields.size > 0) managers.set(own, mine);
  else managers.delete(own);
}

/** What `kubectl apply` wrote before it was told --server-side: kubectl may take it over silently. */
function inheritedFields(live: KubeObject, { manager, schema, kind }: ApplyWrite): FieldSet {
  const text = live.metadata.annotations?.[LAST_APPLIED];
  if (manager !== KUBECTL || text === undefined) return EMPTY_SET;
  try {
    const config = parseJson(text);
    if (!isObject(config) || config.apiVersion !== apiVersionOf(kind)) return EMPTY_SET;
    return fieldSetOf(schema, slotOf(kind), config);
  } catch {
    // Anybody may write the annotation: what is not readable inherits nothing.
    return EMPTY_SET;
  }
}

function conflictError(conflicts: readonly Conflict[]): ApiError {
  const found = conflicts
    .map(({ manager, fields }) => ({
      manager: managerText(manager),
      paths: [...members(fields)].map(pathText),
    }))
    .toSorted((a, b) => (a.manager < b.manager ? -1 : 1));
  const causes: StatusCause[] = found.flatMap(({ manager, paths }) =>
    paths.map((field) => ({
      reason: 'FieldManagerConflict',
      message: `conflict with ${manager}`,
      field,
    })),
  );
  const [only] = causes;
  const message =
    causes.length === 1
      ? `Apply failed with 1 conflict: ${only?.message}: ${only?.field}`
      : `Apply failed with ${causes.length} conflicts: ${found
          .flatMap(({ manager, paths }) => [
            `conflicts with ${manager}:`,
            ...paths.map((path) => `- ${path}`),
          ])
          .join('\n')}`;
  return new ApiError('Conflict', message, { details: { causes } });
}

function managerText({ manager, operation, apiVersion, subresource, time }: Manager): string {
  const name =
    JSON.stringify(manager) +
    (subresource === '' ? '' : ` with subresource ${JSON.stringify(subresource)}`);
  if (operation === 'Apply') return name;
  return `${name} using ${apiVersion}${time === undefined ? '' : ` at ${time}`}`;
}
