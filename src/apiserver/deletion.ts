import { conflict } from '../api/errors.ts';
import type { KubeObject } from '../api/types.ts';
import { inexact } from '../util/exact-json.ts';
import { timestamp } from './before-write.ts';
import type { ResourceKind } from './resource-kind.ts';

/** meta/v1 DeleteOptions, as far as the server acts on them. */
export interface DeleteOptions {
  readonly gracePeriodSeconds?: number | undefined;
  readonly propagationPolicy?: string | undefined;
  readonly orphanDependents?: boolean | undefined;
  readonly preconditions?:
    | { uid?: string | undefined; resourceVersion?: string | undefined }
    | undefined;
  readonly dryRun: boolean;
}

/** What a delete does to the stored object. */
export type Deletion =
  | { readonly action: 'remove' }
  | { readonly action: 'mark'; readonly object: KubeObject }
  | { readonly action: 'nothing' };

const ORPHAN = 'orphan';
const FOREGROUND = 'foregroundDeletion';

/** Decides what a delete does: upstream's rest.BeforeDelete and the finalizers of garbage collection. Pure. */
export function decideDeletion(
  kind: ResourceKind,
  old: KubeObject,
  options: DeleteOptions,
  now: number,
): Deletion {
  const object = structuredClone(old);
  const { metadata } = object;
  const grace = graceOf(kind, object, options);
  if (grace === 'pending') return { action: 'nothing' };
  const finalizers = finalizersFor(metadata.finalizers ?? [], options);
  if (finalizers.length > 0 || metadata.finalizers) metadata.finalizers = finalizers;
  const waits = finalizers.length > 0 || holdsNamespace(object);
  if (!waits && (grace ?? 0) === 0) return { action: 'remove' };
  mark(object, grace ?? 0, now);
  if (isNamespace(object)) object.status = { ...(object.status as object), phase: 'Terminating' };
  if (!waits || metadata.deletionGracePeriodSeconds !== old.metadata.deletionGracePeriodSeconds) {
    return { action: 'mark', object };
  }
  const same = JSON.stringify(object) === JSON.stringify(old);
  return same ? { action: 'nothing' } : { action: 'mark', object };
}

/** True when the last thing that kept a deleted object is gone, so that a write ends it. */
export function isReadyToVanish({ metadata, ...rest }: KubeObject): boolean {
  return (
    metadata.deletionTimestamp !== undefined &&
    (metadata.deletionGracePeriodSeconds ?? 0) === 0 &&
    (metadata.finalizers ?? []).length === 0 &&
    !holdsNamespace({ metadata, ...rest } as KubeObject)
  );
}

export function checkPreconditions(
  kind: ResourceKind,
  { metadata }: KubeObject,
  { preconditions }: DeleteOptions,
): void {
  const { uid, resourceVersion } = preconditions ?? {};
  const name = metadata.name ?? '';
  if (uid !== undefined && uid !== metadata.uid) {
    throw conflict(
      kind,
      name,
      `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`,
    );
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    throw conflict(
      kind,
      name,
      `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`,
    );
  }
}

/** Seconds of grace; undefined when the kind knows none; `pending` when a delete is under way and this one is not shorter. */
function graceOf(
  kind: ResourceKind,
  object: KubeObject,
  { gracePeriodSeconds: asked }: DeleteOptions,
): number | undefined | 'pending' {
  if (!kind.strategy.gracePeriodOf) return undefined;
  const { deletionTimestamp, deletionGracePeriodSeconds } = object.metadata;
  if (deletionTimestamp === undefined) return kind.strategy.gracePeriodOf(object, asked);
  if (asked === undefined || asked >= (deletionGracePeriodSeconds ?? 0)) return 'pending';
  return asked;
}

/** The end of the last year that timestamps can tell. */
const LAST_TIME = Date.UTC(10_000) - 1;

function mark({ metadata }: KubeObject, grace: number, now: number): void {
  if (metadata.deletionTimestamp === undefined) {
    metadata.deletionTimestamp = timestamp(Math.min(now + grace * 1000, LAST_TIME));
    metadata.deletionGracePeriodSeconds = grace;
    if (metadata.generation !== undefined) metadata.generation++;
    return;
  }
  const before = inexact(metadata.deletionGracePeriodSeconds ?? 0);
  if (grace >= before) return;
  const end = Date.parse(metadata.deletionTimestamp);
  // What ends with all time does not tell when it began.
  const begun = end + 1000 > LAST_TIME ? now : end - before * 1000;
  metadata.deletionTimestamp = timestamp(Math.min(begun + grace * 1000, LAST_TIME));
  metadata.deletionGracePeriodSeconds = grace;
}

/** The object's finalizers with those of the asked-for propagation, and without the other ones of its kind. */
function finalizersFor(
  finalizers: readonly string[],
  { propagationPolicy, orphanDependents }: DeleteOptions,
): string[] {
  const explicit =
    propagationPolicy ??
    (orphanDependents === undefined ? undefined : orphanDependents ? 'Orphan' : 'Background');
  const had = (name: string): boolean => finalizers.includes(name);
  const orphan = explicit === undefined ? had(ORPHAN) : explicit === 'Orphan';
  const foreground =
    !orphan && (explicit === undefined ? had(FOREGROUND) : explicit === 'Foreground');
  return [
    ...finalizers.filter((name) => name !== ORPHAN && name !== FOREGROUND),
    ...(orphan ? [ORPHAN] : []),
    ...(foreground ? [FOREGROUND] : []),
  ];
}

/** A namespace stays until its controller has emptied it and taken spec.finalizers away. */
function holdsNamespace(object: KubeObject): boolean {
  if (!isNamespace(object)) return false;
  const spec = object.spec as { finalizers?: string[] } | undefined;
  return (spec?.finalizers ?? []).length > 0;
}

function isNamespace({ kind, apiVersion }: KubeObject): boolean {
  return kind === 'Namespace' && apiVersion === 'v1';
}
