import type { EndpointSlice } from '../api/types.ts';
import { joinHostPort } from '../util/ip.ts';
import type { Endpoint, EndpointChoice, ServicePortSpec } from './model.ts';
import { usesClusterEndpoints, usesLocalEndpoints } from './model.ts';
import { protocolOf } from './service-ports.ts';

/** What the choice of endpoints needs to know about this node. */
export interface NodeTopology {
  readonly name: string;
  readonly zone: string | undefined;
}

/** One for all: there are many endpoints without hints. */
const NONE: readonly string[] = [];

type SliceEndpoint = NonNullable<EndpointSlice['endpoints']>[number];

/**
 * The endpoints of each port in some slices of one Service, keyed `PORTNAME/PROTOCOL` and sorted by address.
 * An address that several slices name counts once, the readiest one. Pure.
 */
export function endpointsOf(
  slices: Iterable<EndpointSlice>,
  node: NodeTopology,
): Map<string, Endpoint[]> {
  const byPort = new Map<string, Map<string, Endpoint>>();
  for (const slice of slices) {
    for (const { name, protocol, port } of slice.ports ?? []) {
      if (!port) continue;
      const key = `${name ?? ''}/${protocolOf(protocol)}`;
      const known = byPort.get(key) ?? new Map<string, Endpoint>();
      byPort.set(key, known);
      for (const from of slice.endpoints ?? []) addEndpoint(known, endpoint(from, port, node));
    }
  }
  return new Map([...byPort].map(([key, known]) => [key, sorted(known)]));
}

function sorted(endpoints: Map<string, Endpoint>): Endpoint[] {
  return [...endpoints.values()].sort((a, b) => (a.address < b.address ? -1 : 1));
}

function addEndpoint(known: Map<string, Endpoint>, candidate: Endpoint | undefined): void {
  if (!candidate) return;
  const other = known.get(candidate.address);
  if (!other || rank(candidate) > rank(other)) known.set(candidate.address, candidate);
}

function rank(endpoint: Endpoint): number {
  return (endpoint.ready ? 4 : 0) + (endpoint.serving ? 2 : 0) + (endpoint.terminating ? 0 : 1);
}

function endpoint(from: SliceEndpoint, port: number, node: NodeTopology): Endpoint | undefined {
  const ip = from.addresses[0];
  if (ip === undefined) return undefined;
  const { conditions, hints } = from;
  return {
    ip,
    port,
    address: joinHostPort(ip, port),
    isLocal: from.nodeName === node.name,
    ready: conditions?.ready ?? true,
    serving: conditions?.serving ?? true,
    terminating: conditions?.terminating ?? false,
    zoneHints: hints?.forZones?.map(({ name }) => name) ?? NONE,
    nodeHints: hints?.forNodes?.map(({ name }) => name) ?? NONE,
  };
}

/**
 * Which endpoints this node sends traffic to, by traffic policies, topology hints and readiness: ready ones,
 * or while there is none those that are terminating but still serve (KEP-1669, KEP-2086, KEP-2433). Pure.
 */
export function chooseEndpoints(
  all: readonly Endpoint[],
  service: ServicePortSpec,
  node: NodeTopology,
): EndpointChoice {
  const cluster = usesClusterEndpoints(service) ? clusterEndpoints(all, node) : [];
  if (!usesLocalEndpoints(service)) {
    return { cluster, local: [], reachable: cluster, any: cluster.length > 0 };
  }
  const local = usable(all.filter((e) => e.isLocal));
  const any = cluster.length > 0 || local.length > 0 || usable(all).length > 0;
  const inCluster = new Set(cluster);
  const reachable = [...cluster, ...local.filter((e) => !inCluster.has(e))];
  return { cluster, local, reachable, any };
}

function usable(endpoints: readonly Endpoint[]): Endpoint[] {
  const ready = endpoints.filter((e) => e.ready);
  return ready.length > 0 ? ready : endpoints.filter((e) => e.serving && e.terminating);
}

function clusterEndpoints(all: readonly Endpoint[], node: NodeTopology): Endpoint[] {
  const candidates = usable(all);
  if (!candidates.some((e) => e.ready)) return candidates;
  return (
    hinted(candidates, (e) => e.nodeHints, node.name) ??
    hinted(candidates, (e) => e.zoneHints, node.zone) ??
    candidates
  );
}

/** The endpoints meant for `place`, if every endpoint carries a hint and one is meant for it. */
function hinted(
  endpoints: Endpoint[],
  hintsOf: (endpoint: Endpoint) => readonly string[],
  place: string | undefined,
): Endpoint[] | undefined {
  if (place === undefined || endpoints.some((e) => hintsOf(e).length === 0)) return undefined;
  const here = endpoints.filter((e) => hintsOf(e).includes(place));
  return here.length > 0 ? here : undefined;
}
