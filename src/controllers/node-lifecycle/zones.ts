import type { Node } from '../../api/types.ts';
import { readyCondition } from './conditions.ts';

const REGION = 'topology.kubernetes.io/region';
const ZONE = 'topology.kubernetes.io/zone';

export interface ZoneOptions {
  readonly nodeEvictionRate: number;
  readonly secondaryNodeEvictionRate: number;
  readonly unhealthyZoneThreshold: number;
  readonly largeClusterSizeThreshold: number;
}

export function zoneOf({ metadata }: Node): string {
  const { [REGION]: region = '', [ZONE]: zone = '' } = metadata.labels ?? {};
  return `${region}:\0:${zone}`;
}

/**
 * How many nodes per second of each zone may be evicted from. When every node of every zone is unhealthy, the fault is
 * more likely here than there: nothing is evicted. Pure.
 */
export function evictionRates(
  nodes: readonly Node[],
  options: ZoneOptions,
): ReadonlyMap<string, number> {
  const zones = [...Map.groupBy(nodes, zoneOf)].map(([zone, members]) => {
    const ready = members.filter((node) => readyCondition(node)?.status === 'True').length;
    return { zone, size: members.length, notReady: members.length - ready, ready };
  });
  const allDown = zones.every(({ ready }) => ready === 0);
  return new Map(
    zones.map(({ zone, size, notReady, ready }) => {
      if (allDown && nodes.length > 0) return [zone, 0];
      const partial = notReady > 2 && notReady / size >= options.unhealthyZoneThreshold;
      if (ready === 0 || !partial) return [zone, options.nodeEvictionRate];
      const large = size > options.largeClusterSizeThreshold;
      return [zone, large ? options.secondaryNodeEvictionRate : 0];
    }),
  );
}
