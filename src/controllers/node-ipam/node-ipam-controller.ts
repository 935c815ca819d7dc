import { NODES, type ObjectKey } from '../../api/resource-types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { CidrSet } from './cidr-set.ts';

/** Gives each node a part of the Pod network. A node that has one keeps it for life: the field cannot change. */
export function nodeIpamController(context: ControllerContext): readonly Runnable[] {
  const { client, informers, options } = context;
  if (!options.allocateNodeCidrs) return [];
  const sets = options.clusterCidrs.map((cidr) => {
    const { nodeCidrMaskSizeIpv4, nodeCidrMaskSizeIpv6 } = options;
    return new CidrSet(cidr, cidr.includes(':') ? nodeCidrMaskSizeIpv6 : nodeCidrMaskSizeIpv4);
  });
  const nodes = informers.get(NODES);
  const events = context.events('cidrAllocator');
  const reconciler: Reconciler = {
    name: 'node-ipam-controller',
    async reconcile(key: ObjectKey) {
      const node = nodes.get(key);
      if (!node || (node.spec?.podCIDRs ?? []).length > 0 || node.spec?.podCIDR) return DONE;
      const podCIDRs = sets.map((set) => set.take());
      const release = () => {
        for (const [i, cidr] of podCIDRs.entries()) if (cidr) sets[i]?.release(cidr);
      };
      if (podCIDRs.includes(undefined)) {
        release();
        const text = `Node ${node.metadata.name} status is now: CIDRNotAvailable`;
        events.event(node, 'Normal', 'CIDRNotAvailable', text);
        throw new Error('No Pod network is left for the node');
      }
      try {
        const body = { spec: { podCIDR: podCIDRs[0], podCIDRs } };
        await client.patch(NODES, key, { type: 'merge', body });
      } catch (err) {
        release();
        throw err;
      }
      return DONE;
    },
  };
  const occupy = (part: string) => sets.forEach((set) => void set.occupy(part));
  nodes.addHandler({
    onAdd: (node) => node.spec?.podCIDRs?.forEach(occupy),
    onUpdate: (_, node) => node.spec?.podCIDRs?.forEach(occupy),
    onDelete: (node) => {
      for (const part of node.spec?.podCIDRs ?? []) for (const set of sets) set.release(part);
    },
  });
  const controller = newController(context, reconciler);
  // Only nodes without a network are work: heartbeats are not.
  controller.watch(nodes, (node) => (node.spec?.podCIDR ? [] : [node.metadata.name]));
  return [controller];
}
