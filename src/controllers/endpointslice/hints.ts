import { milliValue, parseQuantity } from '../../api/quantity.ts';
import type { Node } from '../../api/types.ts';
import type { Endpoint } from './endpoints-of.ts';

const ZONE = 'topology.kubernetes.io/zone';
/** Nodes that bear one of these carry no share of the traffic. */
const EXCLUDED = ['node-role.kubernetes.io/control-plane', 'node-role.kubernetes.io/master'];
/** How much more than its share a zone's endpoints may get. */
const OVERLOAD = 0.2;

/** What of a node the hints depend on. */
export function hintFacts({ metadata, status }: Node): unknown {
  return {
    zone: metadata.labels?.[ZONE],
    excluded: EXCLUDED.some((label) => metadata.labels?.[label] !== undefined),
    ready: status?.conditions?.find(({ type }) => type === 'Ready')?.status,
    cpu: status?.allocatable?.cpu,
  };
}

/** Each zone's part of all CPUs. */
export type Ratios = ReadonlyMap<string, number>;

/** Pure. A reason instead, where nodes do not tell enough. */
export function zoneRatios(nodes: readonly Node[]): Ratios | { readonly problem: string } {
  const cpus = new Map<string, number>();
  for (const node of nodes) {
    const { labels = {} } = node.metadata;
    if (EXCLUDED.some((label) => labels[label] !== undefined)) continue;
    const ready = node.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True');
    if (!ready) continue;
    const zone = labels[ZONE];
    const cpu = cpuOf(node);
    if (!zone || cpu === 0) {
      return {
        problem:
          'Insufficient Node information: allocatable CPU or zone not specified on one or more nodes',
      };
    }
    cpus.set(zone, (cpus.get(zone) ?? 0) + cpu);
  }
  if (cpus.size < 2) return { problem: 'Nodes only ready in one zone' };
  const all = [...cpus.values()].reduce((sum, cpu) => sum + cpu, 0);
  return new Map([...cpus].map(([zone, cpu]) => [zone, cpu / all]));
}

function cpuOf({ status }: Node): number {
  const text = status?.allocatable?.cpu;
  return text === undefined ? 0 : milliValue(parseQuantity(text));
}

interface Share {
  readonly least: number;
  readonly most: number;
  readonly wanted: number;
  readonly given: Endpoint[];
}

/**
 * The zone that each ready endpoint should serve: its own as far as the zone's share goes, else one that has too few.
 * A reason instead, where no fair sharing is possible. Pure.
 */
export function allotZones(
  endpoints: readonly Endpoint[],
  ratios: Ratios,
): ReadonlyMap<Endpoint, string> | { readonly problem: string } {
  const ready = endpoints.filter(({ conditions }) => conditions?.ready);
  if (ready.some(({ zone }) => !zone)) {
    return { problem: 'One or more endpoints do not have a zone specified' };
  }
  const shares = sharesOf(ready.length, ratios);
  const least = [...shares.values()].reduce((sum, share) => sum + share.least, 0);
  if (ready.length < ratios.size || least > ready.length) {
    return {
      problem: `Insufficient number of endpoints (${ready.length}), impossible to safely allocate proportionally`,
    };
  }
  const spare: Endpoint[] = [];
  for (const endpoint of ready.toSorted(byAddress)) {
    const own = shares.get(endpoint.zone ?? '');
    (own && own.given.length < own.most ? own.given : spare).push(endpoint);
  }
  fill(shares, spare);
  const zones = [...shares].flatMap(([zone, { given }]) => given.map((e) => [e, zone] as const));
  return new Map(zones);
}

function sharesOf(count: number, ratios: Ratios): Map<string, Share> {
  const shares = new Map<string, Share>();
  for (const [zone, ratio] of ratios) {
    const wanted = ratio * count;
    const least = Math.ceil(wanted / (1 + OVERLOAD));
    shares.set(zone, { least, most: Math.ceil(wanted), wanted, given: [] });
  }
  return shares;
}

/** Spare endpoints go where most is lacking; a zone that has less than it must have takes from one that can give. */
function fill(shares: ReadonlyMap<string, Share>, spare: Endpoint[]): void {
  const all = [...shares.values()];
  const neediest = () => all.toSorted((a, b) => lackOf(b) - lackOf(a))[0];
  for (const endpoint of spare.splice(0)) neediest()?.given.push(endpoint);
  for (const poor of all) {
    while (poor.given.length < poor.least) {
      const able = all.filter(({ given, least }) => given.length > least);
      const endpoint = able.toSorted((a, b) => lackOf(a) - lackOf(b))[0]?.given.pop();
      if (!endpoint) return;
      poor.given.push(endpoint);
    }
  }
}

function lackOf({ wanted, given }: Share): number {
  return wanted - given.length;
}

function byAddress(a: Endpoint, b: Endpoint): number {
  const [left = '', right = ''] = [a.addresses[0], b.addresses[0]];
  return left < right ? -1 : Number(left > right);
}
