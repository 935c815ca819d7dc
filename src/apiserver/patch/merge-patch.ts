import { cloneJson, isObject, type JsonObject, own, put } from '../../util/json.ts';

/** Applies a JSON merge patch (RFC 7386) and answers the new document; shares nothing with its arguments. */
export function applyMergePatch(document: unknown, patch: unknown): unknown {
  return merge(isObject(patch) ? cloneJson(document) : undefined, patch);
}

function merge(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return cloneJson(patch);
  const merged: JsonObject = isObject(target) ? target : {};
  for (const key of Object.keys(patch)) {
    const value = patch[key];
    if (value === null) delete merged[key];
    else put(merged, key, merge(own(merged, key), value));
  }
  return merged;
}
