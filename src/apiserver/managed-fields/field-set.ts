import { isObject, type JsonObject, put } from '../../util/json.ts';

/**
 * A set of paths into an object, as a tree: what `fieldsV1` of a managedFields entry says. Keys are path
 * elements in the form of the wire (`f:spec`, `k:{"name":"web"}`, `v:"finalizer"`). Sets are never changed.
 */
export type FieldSet = ReadonlyMap<string, FieldNode>;

interface FieldNode {
  /** Whether the path that ends here is itself a member. */
  readonly isMember: boolean;
  readonly below: FieldSet;
}

export const EMPTY_SET: FieldSet = new Map();

const LEAF: FieldNode = { isMember: true, below: EMPTY_SET };

/** Collects paths into a set. */
export class FieldSetBuilder {
  readonly #root: BuilderNode = { isMember: false, below: new Map() };

  insert(path: readonly string[]): void {
    let node = this.#root;
    for (const element of path) {
      let next = node.below.get(element);
      if (next === undefined) {
        next = { isMember: false, below: new Map() };
        node.below.set(element, next);
      }
      node = next;
    }
    node.isMember = true;
  }

  /** Call once: the set is the builder's own tree. */
  build(): FieldSet {
    return this.#root.below;
  }
}

interface BuilderNode {
  isMember: boolean;
  readonly below: Map<string, BuilderNode>;
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (a.size === 0) return b;
  if (b.size === 0) return a;
  const result = new Map(a);
  for (const [element, node] of b) {
    const other = result.get(element);
    result.set(
      element,
      other === undefined
        ? node
        : { isMember: node.isMember || other.isMember, below: union(other.below, node.below) },
    );
  }
  return result;
}

/** The members of `a` that are no members of `b`. A member below a member of `b` stays. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  if (a.size === 0 || b.size === 0) return a;
  const result = new Map<string, FieldNode>();
  for (const [element, node] of a) {
    const other = b.get(element);
    if (other === undefined) {
      result.set(element, node);
      continue;
    }
    const isMember = node.isMember && !other.isMember;
    const below = difference(node.below, other.below);
    if (isMember || below.size > 0) result.set(element, { isMember, below });
  }
  return result;
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const result = new Map<string, FieldNode>();
  for (const [element, node] of a) {
    const other = b.get(element);
    if (other === undefined) continue;
    const isMember = node.isMember && other.isMember;
    const below = intersection(node.below, other.below);
    if (isMember || below.size > 0) result.set(element, { isMember, below });
  }
  return result;
}

/** `a` without the members of `b` and all that is below them. */
export function without(a: FieldSet, b: FieldSet): FieldSet {
  if (a.size === 0 || b.size === 0) return a;
  const result = new Map<string, FieldNode>();
  for (const [element, node] of a) {
    const other = b.get(element);
    if (other === undefined) {
      result.set(element, node);
    } else if (!other.isMember) {
      const below = without(node.below, other.below);
      if (node.isMember || below.size > 0) result.set(element, { isMember: node.isMember, below });
    }
  }
  return result;
}

export function setsEqual(a: FieldSet, b: FieldSet): boolean {
  if (a.size !== b.size) return false;
  for (const [element, node] of a) {
    const other = b.get(element);
    if (other?.isMember !== node.isMember || !setsEqual(node.below, other.below)) return false;
  }
  return true;
}

/** Every member, as the list of its path elements, parents first. */
export function* members(set: FieldSet, path: readonly string[] = []): Generator<string[]> {
  for (const [element, node] of set) {
    const here = [...path, element];
    if (node.isMember) yield here;
    yield* members(node.below, here);
  }
}

/** The set that a `fieldsV1` says; undefined when it is malformed. */
export function parseFieldsV1(fields: unknown): FieldSet | undefined {
  if (!isObject(fields)) return undefined;
  const set = new Map<string, FieldNode>();
  for (const element of Object.keys(fields)) {
    if (element === '.') continue;
    if (!/^[fkvi]:/.test(element)) return undefined;
    const value = fields[element];
    const below = parseFieldsV1(value);
    if (below === undefined) return undefined;
    const isMember = below.size === 0 || Object.hasOwn(value as JsonObject, '.');
    set.set(element, isMember && below.size === 0 ? LEAF : { isMember, below });
  }
  return set;
}

/** The wire form, with sorted keys. */
export function fieldsV1(set: FieldSet): JsonObject {
  const fields: JsonObject = {};
  for (const element of [...set.keys()].sort()) {
    const node = set.get(element) ?? LEAF;
    const below = fieldsV1(node.below);
    put(fields, element, node.isMember && node.below.size > 0 ? { '.': {}, ...below } : below);
  }
  return fields;
}
