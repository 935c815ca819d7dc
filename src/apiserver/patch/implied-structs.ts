import type { Schema, TypeRef } from '../../api/schema.ts';
import { isObject, type JsonObject, own, put } from '../../util/json.ts';

/**
 * Upstream patches the JSON of Go structs, in which a struct is there even when nothing is in it: `add` may put something
 * into `/status/allocation` of an object that has no status yet. These are held by value, others by pointers.
 */
const HELD_BY_VALUE: ReadonlySet<string> = new Set([
  ...['metadata', 'spec', 'status', 'template', 'jobTemplate', 'strategy', 'updateStrategy'],
  ...['resources', 'loadBalancer', 'nodeInfo'],
]);

/** Puts empty structs where `operations` want to reach into them. Answers how to take away those that stayed empty. */
export function implyStructs(
  document: JsonObject,
  operations: unknown,
  { schema, definition }: { readonly schema: Schema; readonly definition: string },
): (patched: unknown) => void {
  const made: string[][] = [];
  for (const operation of Array.isArray(operations) ? operations : []) {
    if (!isObject(operation)) continue;
    for (const pointer of [own(operation, 'path'), own(operation, 'from')]) {
      if (typeof pointer !== 'string') continue;
      const keys = pointer.split('/').slice(1);
      reach(document, keys, { schema, type: { kind: 'object', name: definition } }, made);
    }
  }
  return (patched) => {
    for (const path of made.toReversed()) dropEmpty(patched, path);
  };
}

function reach(
  root: JsonObject,
  keys: readonly string[],
  { schema, type }: { readonly schema: Schema; readonly type: TypeRef },
  made: string[][],
): void {
  let node: unknown = root;
  let at: TypeRef | undefined = type;
  for (const [depth, key] of keys.entries()) {
    const member = memberOf(schema, at, key);
    if (isObject(node) && !Object.hasOwn(node, key)) {
      if (member?.kind !== 'object' || !HELD_BY_VALUE.has(key)) return;
      put(node, key, {});
      made.push(keys.slice(0, depth + 1));
    }
    at = member;
    node = childOf(node, key);
  }
}

function memberOf(schema: Schema, type: TypeRef | undefined, key: string): TypeRef | undefined {
  if (type?.kind === 'array' || type?.kind === 'map') return type.of;
  return type?.kind === 'object' ? schema.definition(type.name)?.fields.get(key)?.type : undefined;
}

function childOf(node: unknown, key: string): unknown {
  if (Array.isArray(node)) return node[Number(key)];
  return isObject(node) ? own(node, key) : undefined;
}

function dropEmpty(root: unknown, path: readonly string[]): void {
  const holder = path.slice(0, -1).reduce(childOf, root);
  const last = path.at(-1) ?? '';
  if (!isObject(holder)) return;
  const value = own(holder, last);
  if (isObject(value) && Object.keys(value).length === 0) delete holder[last];
}
