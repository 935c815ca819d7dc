import type { ObjectKey, ResourceType } from '../../api/resource-types.ts';
import type { OwnerReference, PartialObject } from '../../api/types.ts';

export const FOREGROUND = 'foregroundDeletion';
export const ORPHAN = 'orphan';

/** An object as the graph knows it. */
export interface Node {
  readonly uid: string;
  readonly type: ResourceType<unknown>;
  readonly key: ObjectKey;
  readonly resourceVersion: string;
  readonly owners: readonly OwnerReference[];
  readonly finalizers: readonly string[];
  /** deletionTimestamp is set. */
  readonly going: boolean;
}

/** Being deleted in the foreground: it goes when the dependents that block it are gone. */
export function waitsForDependents(node: Node): boolean {
  return node.going && node.finalizers.includes(FOREGROUND);
}

/** Being deleted, its dependents to be left alone. */
export function wantsOrphans(node: Node): boolean {
  return node.going && node.finalizers.includes(ORPHAN);
}

export function nodeOf(type: ResourceType<unknown>, { metadata }: PartialObject): Node {
  return {
    uid: metadata.uid,
    type,
    key: { namespace: metadata.namespace, name: metadata.name },
    resourceVersion: metadata.resourceVersion,
    owners: metadata.ownerReferences ?? [],
    finalizers: metadata.finalizers ?? [],
    going: metadata.deletionTimestamp !== undefined,
  };
}

/** Who owns whom, over all kinds. An edge may lead to an owner that was never seen. */
export class Graph {
  readonly #nodes = new Map<string, Node>();
  readonly #dependents = new Map<string, Set<string>>();

  get(uid: string): Node | undefined {
    return this.#nodes.get(uid);
  }

  get size(): number {
    return this.#nodes.size;
  }

  nodes(): Iterable<Node> {
    return this.#nodes.values();
  }

  dependentsOf(uid: string): Node[] {
    const found: Node[] = [];
    for (const id of this.#dependents.get(uid) ?? []) {
      const node = this.#nodes.get(id);
      if (node) found.push(node);
    }
    return found;
  }

  /** Dependents that the foreground deletion of `uid` must wait for. */
  blockersOf(uid: string): Node[] {
    return this.dependentsOf(uid).filter((dependent) =>
      dependent.owners.some((ref) => ref.uid === uid && ref.blockOwnerDeletion === true),
    );
  }

  /** Answers the node as it was before. */
  set(node: Node): Node | undefined {
    const before = this.#nodes.get(node.uid);
    this.#nodes.set(node.uid, node);
    for (const { uid } of before?.owners ?? []) this.#unlink(uid, node.uid);
    for (const { uid } of node.owners) {
      const dependents = this.#dependents.get(uid);
      if (dependents) dependents.add(node.uid);
      else this.#dependents.set(uid, new Set([node.uid]));
    }
    return before;
  }

  delete(uid: string): Node | undefined {
    const node = this.#nodes.get(uid);
    this.#nodes.delete(uid);
    for (const owner of node?.owners ?? []) this.#unlink(owner.uid, uid);
    return node;
  }

  #unlink(owner: string, dependent: string): void {
    const dependents = this.#dependents.get(owner);
    dependents?.delete(dependent);
    if (dependents?.size === 0) this.#dependents.delete(owner);
  }
}
