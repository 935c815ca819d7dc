import type { KubeObject } from '../../api/types.ts';

/** Objects with a status: creators and ordinary writers cannot set it. */
export function withoutStatus(object: object): void {
  delete (object as { status?: unknown }).status;
}

/** The main resource's update keeps the stored status. */
export function keepStatus(object: object, old: object): void {
  const [next, stored] = [object as { status?: unknown }, old as { status?: unknown }];
  if (stored.status === undefined) delete next.status;
  else next.status = structuredClone(stored.status);
}

/** An update through `status` keeps everything else: spec, and labels and annotations stay as stored. */
export function keepAllButStatus(object: object, old: object): void {
  const [next, stored] = [object as KubeObject, old as KubeObject];
  for (const field of Object.keys(next)) {
    if (!KEPT_BY_STATUS.has(field)) delete next[field];
  }
  for (const [field, value] of Object.entries(stored)) {
    if (!KEPT_BY_STATUS.has(field)) next[field] = structuredClone(value);
  }
}

const KEPT_BY_STATUS: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata', 'status']);
