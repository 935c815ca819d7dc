import { isObject, type JsonObject, jsonEqual, own, put } from '../../util/json.ts';
import { REF_PREFIX, referredNames } from './schemas.ts';

const KINDS = 'x-kubernetes-group-version-kind';
const PREFIX = REF_PREFIX.v2;

/** What a document says of the paths below `prefix`, with the definitions that they need. */
export function documentBelow(document: JsonObject, prefix: string): JsonObject {
  const all = objectAt(document, 'paths');
  const paths: JsonObject = {};
  for (const path of Object.keys(all)) if (path.startsWith(prefix)) put(paths, path, all[path]);
  return { paths, definitions: reachable(paths, objectAt(document, 'definitions')) };
}

function reachable(paths: JsonObject, all: JsonObject): JsonObject {
  const definitions: JsonObject = {};
  const waiting = [...referredNames(paths)];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const definition = own(all, name);
    if (definition === undefined || Object.hasOwn(definitions, name)) continue;
    put(definitions, name, definition);
    waiting.push(...referredNames(definition));
  }
  return definitions;
}

/**
 * One document of both: a path stays with who had it first. Definitions of one name are shared when they say the same,
 * and the other's is called NAME_v2 when they do not, as upstream's aggregator names it.
 */
export function mergeDocuments(document: JsonObject, other: JsonObject): JsonObject {
  const mine = objectAt(document, 'definitions');
  const others = objectAt(other, 'definitions');
  const names = newNames(mine, others);
  const definitions: JsonObject = { ...mine };
  for (const [name, definition] of Object.entries(others)) {
    const called = names.get(name) ?? name;
    const known = own(definitions, called);
    put(
      definitions,
      called,
      isObject(known) ? ofBoth(known, definition) : renamed(definition, names),
    );
  }
  const paths: JsonObject = { ...objectAt(document, 'paths') };
  for (const [path, item] of Object.entries(objectAt(other, 'paths'))) {
    if (!Object.hasOwn(paths, path)) put(paths, path, renamed(item, names));
  }
  return { ...document, paths, definitions };
}

/** What those of the other's definitions are called that differ from mine, or refer to one that does. */
function newNames(mine: JsonObject, others: JsonObject): Map<string, string> {
  const names = new Map<string, string>();
  const shared = Object.keys(others).filter((name) => Object.hasOwn(mine, name));
  const differs = (name: string): boolean =>
    !jsonEqual(withoutKinds(mine[name]), withoutKinds(others[name])) ||
    [...referredNames(others[name])].some((referred) => names.has(referred));
  for (let before = -1; before !== names.size; ) {
    before = names.size;
    for (const name of shared) {
      if (!names.has(name) && differs(name)) names.set(name, freeName(name, mine, others));
    }
  }
  return names;
}

function freeName(name: string, mine: JsonObject, others: JsonObject): string {
  let number = 2;
  const isTaken = (called: string) => Object.hasOwn(mine, called) || Object.hasOwn(others, called);
  while (isTaken(`${name}_v${number}`)) number++;
  return `${name}_v${number}`;
}

function withoutKinds(definition: unknown): unknown {
  return isObject(definition) ? { ...definition, [KINDS]: undefined } : definition;
}

/** A definition that both have, with the kinds that either says it is. */
function ofBoth(mine: JsonObject, other: unknown): JsonObject {
  const more = kindsOf(other).filter((kind) => !kindsOf(mine).some((own) => jsonEqual(own, kind)));
  return more.length === 0 ? mine : { ...mine, [KINDS]: [...kindsOf(mine), ...more] };
}

function kindsOf(definition: unknown): unknown[] {
  const kinds = isObject(definition) ? definition[KINDS] : undefined;
  return Array.isArray(kinds) ? kinds : [];
}

/** A copy whose references follow the new names. */
function renamed(node: unknown, names: ReadonlyMap<string, string>): unknown {
  if (names.size === 0) return node;
  if (Array.isArray(node)) return node.map((item) => renamed(item, names));
  if (!isObject(node)) return node;
  const copy: JsonObject = {};
  for (const [key, value] of Object.entries(node)) {
    const called =
      key === '$ref' && typeof value === 'string' && value.startsWith(PREFIX)
        ? names.get(value.slice(PREFIX.length))
        : undefined;
    put(copy, key, called === undefined ? renamed(value, names) : PREFIX + called);
  }
  return copy;
}

function objectAt(document: JsonObject, key: string): JsonObject {
  const found = own(document, key);
  return isObject(found) ? found : {};
}
