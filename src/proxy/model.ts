/** IPv4 and IPv6 are routed by separate tables of the kernel, so each has its own state and its own backend. */
export type IpFamily = 4 | 6;

export type Protocol = 'TCP' | 'UDP' | 'SCTP';

/** One address and port behind a Service. */
export interface Endpoint {
  readonly ip: string;
  readonly port: number;
  /** `IP:PORT`, IPv6 in brackets. Unique within a service port. */
  readonly address: string;
  /** Its Pod runs on this node. */
  readonly isLocal: boolean;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
}

/** One port of a Service in one address family, as its spec and status ask for it. */
export interface ServicePortSpec {
  /** `NAMESPACE/NAME:PORTNAME/PROTOCOL`: unique within a family. */
  readonly id: string;
  /** `NAMESPACE/NAME:PORTNAME`, without the colon for an unnamed port; what upstream's names and comments are made of. */
  readonly name: string;
  readonly namespace: string;
  readonly service: string;
  readonly portName: string;
  readonly family: IpFamily;
  readonly protocol: Protocol;
  readonly clusterIP: string;
  readonly port: number;
  /** 0: none. */
  readonly nodePort: number;
  readonly externalIPs: readonly string[];
  /** Addresses of the load balancer that reach this node unchanged (ipMode VIP). */
  readonly loadBalancerIPs: readonly string[];
  /** CIDRs; empty: everybody. */
  readonly sourceRanges: readonly string[];
  /** How long a client stays with its endpoint; undefined: no session affinity. */
  readonly affinitySeconds: number | undefined;
  readonly internalLocal: boolean;
  readonly externalLocal: boolean;
  /** 0: none. */
  readonly healthCheckNodePort: number;
}

/** Where the traffic of a service port may go, seen from this node. */
export interface EndpointChoice {
  /** For traffic policy Cluster. */
  readonly cluster: readonly Endpoint[];
  /** For traffic policy Local. */
  readonly local: readonly Endpoint[];
  /** Both, each endpoint once. */
  readonly reachable: readonly Endpoint[];
  /** There is a usable endpoint somewhere, though perhaps not for this node. */
  readonly any: boolean;
}

/**
 * A service port and its endpoints. Immutable: as long as nothing that matters to routing changes, the
 * very same object comes back, so a backend finds out what changed by comparing references.
 */
export interface ServicePort extends ServicePortSpec {
  readonly endpoints: EndpointChoice;
  /** Ready endpoints on this node, for the health check node port. */
  readonly localReady: number;
}

/** Everything that one family's kernel rules are made from. */
export interface ProxyState {
  readonly family: IpFamily;
  readonly services: ReadonlyMap<string, ServicePort>;
  /** Service ports that came, went or are other ones since the state before; absent where any of them may be. */
  readonly changed?: ReadonlySet<string> | undefined;
}

/** Service ports that may differ between `before` and `state`. */
export function changedIds(
  before: ReadonlyMap<string, unknown>,
  { services, changed }: Pick<ProxyState, 'services' | 'changed'>,
): ReadonlySet<string> {
  return changed ?? new Set([...before.keys(), ...services.keys()]);
}

/** NodePort, external IP or load balancer: traffic that does not come in by the cluster IP. */
export function isExternallyAccessible(service: ServicePortSpec): boolean {
  return (
    service.nodePort !== 0 || service.loadBalancerIPs.length > 0 || service.externalIPs.length > 0
  );
}

/** External Local needs Cluster endpoints as well: local clients are short-circuited to them. */
export function usesClusterEndpoints(service: ServicePortSpec): boolean {
  return !service.internalLocal || isExternallyAccessible(service);
}

export function usesLocalEndpoints(service: ServicePortSpec): boolean {
  return service.internalLocal || (service.externalLocal && isExternallyAccessible(service));
}
