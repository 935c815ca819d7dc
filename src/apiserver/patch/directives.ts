import { ApiError } from '../../api/errors.ts';
import { isObject, type JsonObject, put } from '../../util/json.ts';

export const RETAIN_KEYS = '$retainKeys';
export const ORDER_PREFIX = '$setElementOrder/';
export const DELETION_PREFIX = '$deleteFromPrimitiveList/';

/** A patch value that meets nothing in the original: its nulls and directives mean nothing there. */
export function withoutDirectives<T>(value: T): T {
  if (Array.isArray(value)) {
    return value.filter((item) => !isDeletion(item)).map(withoutDirectives) as T;
  }
  if (!isObject(value)) return value;
  const clean: JsonObject = {};
  for (const key of Object.keys(value)) {
    const member = value[key];
    if (member !== null && !isDirectiveKey(key)) put(clean, key, withoutDirectives(member));
  }
  return clean as T;
}

function isDirectiveKey(key: string): boolean {
  return (
    key === '$patch' ||
    key === RETAIN_KEYS ||
    key.startsWith(ORDER_PREFIX) ||
    key.startsWith(DELETION_PREFIX)
  );
}

function isDeletion(item: unknown): boolean {
  return isObject(item) && (item.$patch === 'delete' || item.$patch === 'replace');
}

export function unknownDirective(directive: unknown): ApiError {
  return new ApiError('Invalid', `Unknown patch type ${JSON.stringify(directive)} in map`);
}
