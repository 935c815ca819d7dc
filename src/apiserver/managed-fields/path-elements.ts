import { parseJson } from '../../util/exact-json.ts';
import { isObject, own } from '../../util/json.ts';

export function fieldElement(name: string): string {
  return `f:${name}`;
}

/** A member of a list of scalars that is a set. */
export function valueElement(value: unknown): string {
  return `v:${JSON.stringify(value)}`;
}

/** Fields that list items may leave out in an apply configuration although they are part of the key. */
const KEY_DEFAULTS: Readonly<Record<string, unknown>> = { protocol: 'TCP' };

export class MissingKey extends Error {
  override readonly name = 'MissingKey';
}

/** An item of a list that is a map by `keys`. Throws MissingKey. */
export function keyElement(item: unknown, keys: readonly string[]): string {
  const values: Record<string, unknown> = {};
  for (const key of keys.toSorted()) {
    const value = isObject(item) ? own(item, key) : undefined;
    const known = value ?? KEY_DEFAULTS[key];
    if (known === undefined) {
      throw new MissingKey(
        `associative list with keys has an element that omits key field ${JSON.stringify(key)} (and doesn't have default value)`,
      );
    }
    values[key] = known;
  }
  return `k:${JSON.stringify(values)}`;
}

/** A path as messages show it: `.spec.containers[name="web"].image`. */
export function pathText(path: readonly string[]): string {
  return path.map(elementText).join('');
}

export function elementText(element: string): string {
  const rest = element.slice(2);
  if (element.startsWith('f:')) return `.${rest}`;
  if (element.startsWith('v:')) return `[=${rest}]`;
  if (element.startsWith('i:')) return `[${rest}]`;
  const keys = parseJson(rest) as Record<string, unknown>;
  const parts = Object.entries(keys).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return `[${parts.join(',')}]`;
}
