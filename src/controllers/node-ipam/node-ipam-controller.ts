import { NODES, type ObjectKey } from '../../api/resource-types.ts';
import type { Node } from '../../api/types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { CidrSet } from './cidr-set.ts';

/** Gives each node a part of the Pod network. A node that has one keeps it for life: the field cannot change. */
export function nodeIpamController(context: ControllerContext): readonly Runnable[] {
  const { client, informers, options } = context;
  if (!options.allocateNodeCidrs) return [];
  const parts = new Parts(
    options.clusterCidrs.map((cidr) => {
      const { nodeCidrMaskSizeIpv4, nodeCidrMaskSizeIpv6 } = options;
      return new CidrSet(cidr, cidr.includes(':') ? nodeCidrMaskSizeIpv6 : nodeCidrMaskSizeIpv4);
    }),
  );
  const nodes = informers.get(NODES);
  const events = context.events('cidrAllocator');
  const reconciler: Reconciler = {
    name: 'node-ipam-controller',
    async reconcile(key: ObjectKey) {
      const node = nodes.get(key);
      if (!node || (node.spec?.podCIDRs ?? []).length > 0 || node.spec?.podCIDR) return DONE;
      const { name, uid } = node.metadata;
      const podCIDRs = parts.give(uid);
      if (!podCIDRs) {
        const text = `Node ${name} status is now: CIDRNotAvailable`;
        events.event(node, 'Normal', 'CIDRNotAvailable', text);
        throw new Error('No Pod network is left for the node');
      }
      const body = { metadata: { uid }, spec: { podCIDR: podCIDRs[0], podCIDRs } };
      await client.patch(NODES, key, { type: 'merge', body });
      return DONE;
    },
  };
  nodes.addHandler({
    onAdd: (node) => parts.seen(node),
    onUpdate: (before, node) => {
      if (before.metadata.uid !== node.metadata.uid) parts.gone(before);
      parts.seen(node);
    },
    onDelete: (node) => parts.gone(node),
  });
  const controller = newController(context, reconciler);
  // Only nodes without a network are work: heartbeats are not.
  controller.watch(nodes, (node) => (node.spec?.podCIDR ? [] : [node.metadata.name]));
  return [controller];
}

/**
 * Which parts of the networks are whose. What was given to a node stays its own until the node shows what it has, or is
 * gone: a write whose answer is lost may have been done, and its part must not be given to another node as well.
 */
class Parts {
  readonly #sets: readonly CidrSet[];
  readonly #given = new Map<string, readonly string[]>();

  constructor(sets: readonly CidrSet[]) {
    this.#sets = sets;
  }

  /** The same at each call; undefined when there is not enough left. */
  give(uid: string): readonly string[] | undefined {
    const given = this.#given.get(uid);
    if (given) return given;
    const taken = this.#sets.map((set) => set.take());
    const parts = taken.filter((part) => part !== undefined);
    if (parts.length < taken.length) {
      this.#release(parts);
      return undefined;
    }
    this.#given.set(uid, parts);
    return parts;
  }

  seen({ metadata, spec }: Node): void {
    const parts = spec?.podCIDRs ?? [];
    if (parts.length === 0) return;
    // Somebody else may have been quicker.
    this.#release((this.#given.get(metadata.uid) ?? []).filter((part) => !parts.includes(part)));
    this.#given.delete(metadata.uid);
    for (const part of parts) for (const set of this.#sets) set.occupy(part);
  }

  gone({ metadata, spec }: Node): void {
    this.#release([...(this.#given.get(metadata.uid) ?? []), ...(spec?.podCIDRs ?? [])]);
    this.#given.delete(metadata.uid);
  }

  #release(parts: readonly string[]): void {
    for (const part of parts) for (const set of this.#sets) set.release(part);
  }
}
