import type { EndpointSlice, Node, Service } from '../../api/types.ts';
import { familyOf } from '../../util/ip.ts';

/** Where a Service of type LoadBalancer answers, or why nowhere. */
export type Placement = { readonly ips: readonly string[] } | { readonly problem: string };

export interface PlacementFacts {
  readonly nodes: readonly Node[];
  /** Of this Service. */
  readonly slices: readonly EndpointSlice[];
  /** All Services that this load balancer is asked for, this one among them. */
  readonly rivals: readonly Service[];
  /** TCP ports on which the API server answers. */
  readonly apiPorts: readonly number[];
}

const EXCLUDED = 'node.kubernetes.io/exclude-from-external-load-balancers';
const FAMILIES = { IPv4: 4, IPv6: 6 } as const;
/** TCP ports by which a node is managed: ssh, etcd, and the components. Whoever took them would lock himself out. */
const MANAGEMENT_PORTS = [22, 2379, 2380, 10248, 10249, 10250, 10256, 10257, 10259];

/** This load balancer serves Services that name no class: a class is somebody else's. */
export function isOurs({ metadata, spec }: Service): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  return spec?.type === 'LoadBalancer' && spec.loadBalancerClass === undefined;
}

/** The addresses of the nodes that are to answer, sorted: all that are fit, or those with an endpoint. Pure. */
export function placement(service: Service, facts: PlacementFacts): Placement {
  const problem = portProblem(service, facts);
  if (problem !== undefined) return { problem };
  const local = service.spec?.externalTrafficPolicy === 'Local';
  const hosts = local ? nodesWithEndpoint(facts.slices) : undefined;
  const fit = facts.nodes
    .filter(isFit)
    .filter(({ metadata }) => hosts === undefined || hosts.has(metadata.name));
  const families = (service.spec?.ipFamilies ?? ['IPv4']).map(
    (name) => FAMILIES[name as keyof typeof FAMILIES],
  );
  const of = (type: string) =>
    addresses(fit, type).filter((ip) => families.includes(familyOf(ip) ?? 4));
  const external = of('ExternalIP');
  const ips = external.length > 0 ? external : of('InternalIP');
  const { loadBalancerIP } = service.spec ?? {};
  if (!loadBalancerIP) return { ips };
  if (ips.includes(loadBalancerIP)) return { ips: [loadBalancerIP] };
  return { problem: `${loadBalancerIP} is no address of a node that is fit to answer` };
}

/** What tells for this load balancer whether a node has changed. */
export function nodeFacts(node: Node): string {
  return JSON.stringify([isFit(node), node.status?.addresses]);
}

function isFit({ metadata, status }: Node): boolean {
  if (metadata.deletionTimestamp !== undefined || metadata.labels?.[EXCLUDED] !== undefined)
    return false;
  return (status?.conditions ?? []).some((c) => c.type === 'Ready' && c.status === 'True');
}

function addresses(nodes: readonly Node[], type: string): string[] {
  const ips = nodes.flatMap(({ status }) =>
    (status?.addresses ?? []).filter((entry) => entry.type === type).map(({ address }) => address),
  );
  return [...new Set(ips)].sort();
}

function nodesWithEndpoint(slices: readonly EndpointSlice[]): Set<string | undefined> {
  const ready = slices
    .flatMap(({ endpoints }) => endpoints ?? [])
    .filter(({ conditions }) => conditions?.ready ?? true);
  return new Set(ready.map(({ nodeName }) => nodeName));
}

/** A port of the nodes can be had once: who answers there keeps it, else the oldest Service that wants it has it. */
function portProblem(service: Service, { rivals, apiPorts }: PlacementFacts): string | undefined {
  const management = new Set([...MANAGEMENT_PORTS, ...apiPorts].map((port) => `${port}/TCP`));
  const taken = portsOf(service).find((port) => management.has(port));
  if (taken !== undefined) return `port ${taken} is one that the nodes are managed by`;
  for (const rival of rivals.filter((other) => goesBefore(other, service))) {
    const shared = portsOf(rival).find((port) => portsOf(service).includes(port));
    if (shared === undefined) continue;
    const { namespace, name } = rival.metadata;
    return `port ${shared} of the nodes is taken by Service ${namespace}/${name}`;
  }
  return undefined;
}

function portsOf({ spec }: Service): string[] {
  return (spec?.ports ?? []).map(({ port, protocol }) => `${port}/${protocol ?? 'TCP'}`);
}

/** Times of creation are whole seconds, so they alone would let a newcomer of the same second take a port in use. */
function goesBefore(a: Service, b: Service): boolean {
  const rank = ({ metadata, status }: Service) => {
    const answers = (status?.loadBalancer?.ingress ?? []).length > 0;
    return `${answers ? 0 : 1} ${metadata.creationTimestamp} ${metadata.uid}`;
  };
  return a.metadata.uid !== b.metadata.uid && rank(a) < rank(b);
}
