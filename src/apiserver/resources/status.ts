import type { KubeObject } from '../../api/types.ts';
import { cloneJson } from '../../util/json.ts';

/** Objects with a status: creators and ordinary writers cannot set it. */
export function withoutStatus(object: object): void {
  delete (object as { status?: unknown }).status;
}

/** The main resource's update keeps the stored status. */
export function keepStatus(object: object, old: object): void {
  const [next, stored] = [object as { status?: unknown }, old as { status?: unknown }];
  if (stored.status === undefined) delete next.status;
  else next.status = cloneJson(stored.status);
}

/** An update through `status` keeps everything else but metadata, which most kinds let pass. */
export function keepAllButStatus(object: object, old: object): void {
  const [next, stored] = [object as KubeObject, old as KubeObject];
  for (const field of Object.keys(next)) {
    if (!KEPT_BY_STATUS.has(field)) delete next[field];
  }
  for (const [field, value] of Object.entries(stored)) {
    if (!KEPT_BY_STATUS.has(field)) next[field] = cloneJson(value);
  }
}

/** As `keepAllButStatus`, for kinds whose status is written by those who may not touch its labels and the like (meta/v1 ResetObjectMetaForStatus). */
export function keepAllButStatusAlone(object: object, old: object): void {
  keepAllButStatus(object, old);
  const [next, stored] = [(object as KubeObject).metadata, (old as KubeObject).metadata];
  for (const field of ['labels', 'annotations', 'finalizers', 'ownerReferences'] as const) {
    if (stored[field] === undefined) delete next[field];
    else Object.assign(next, { [field]: cloneJson(stored[field]) });
  }
}

const KEPT_BY_STATUS: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata', 'status']);
