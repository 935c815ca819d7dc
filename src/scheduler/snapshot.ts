import type { NodeInfo } from './node-info.ts';

/** The cluster as one scheduling cycle sees it: does not change while the cycle runs. */
export interface Snapshot {
  /** Every existing node, zones taking turns. */
  readonly nodes: readonly NodeInfo[];
  get(nodeName: string): NodeInfo | undefined;
  /** Nodes with a Pod that has any (anti-)affinity, by name. */
  readonly withAffinity: ReadonlyMap<string, NodeInfo>;
  /** Nodes with a Pod that has required anti-affinity. */
  readonly withRequiredAntiAffinity: ReadonlyMap<string, NodeInfo>;
  /** How many nodes have each image, by name. */
  readonly nodesWithImage: ReadonlyMap<string, number>;
}

/** The zone that a node is in (region and zone labels), or the empty string. */
export function zoneOf(labels: Readonly<Record<string, string>>): string {
  const zone =
    labels['topology.kubernetes.io/zone'] ?? labels['failure-domain.beta.kubernetes.io/zone'];
  const region =
    labels['topology.kubernetes.io/region'] ?? labels['failure-domain.beta.kubernetes.io/region'];
  return zone === undefined && region === undefined ? '' : `${region ?? ''}:\0:${zone ?? ''}`;
}

/** Orders nodes so that the zones take turns: a search that stops early has then seen all zones alike. */
export function interleaveZones(nodes: Iterable<NodeInfo>): NodeInfo[] {
  const zones = new Map<string, NodeInfo[]>();
  for (const node of nodes) {
    const zone = zoneOf(node.labels);
    const members = zones.get(zone);
    if (members) members.push(node);
    else zones.set(zone, [node]);
  }
  const out: NodeInfo[] = [];
  const lists = [...zones.values()];
  const longest = Math.max(0, ...lists.map((list) => list.length));
  for (let i = 0; i < longest; i++) {
    for (const list of lists) {
      const node = list[i];
      if (node) out.push(node);
    }
  }
  return out;
}
