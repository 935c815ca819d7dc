import type { Flow } from '../host/conntrack.ts';
import { joinHostPort } from '../util/ip.ts';
import type { ProxyState, ServicePort } from './model.ts';

/** The UDP service ports of `state` that are not the same object in `before`: their flows may have gone stale. */
export function changedUdpServices(
  before: ReadonlyMap<string, ServicePort>,
  state: ProxyState,
): boolean {
  for (const [id, service] of state.services) {
    if (service.protocol === 'UDP' && before.get(id) !== service) return true;
  }
  return false;
}

/**
 * Flows to an address of a UDP service that are not translated to one of its present endpoints. UDP has no
 * end of connection: the kernel would go on sending a busy client's packets to an endpoint that is gone, or
 * to nowhere when the client spoke before the first endpoint came. Pure.
 */
export function staleFlows(flows: readonly Flow[], state: ProxyState): Flow[] {
  const { byAddress, byNodePort } = udpEndpoints(state);
  return flows.filter((flow) => {
    const target = joinHostPort(flow.destination, flow.destinationPort);
    const endpoints = byAddress.get(target) ?? byNodePort.get(flow.destinationPort);
    if (!endpoints) return false;
    return !endpoints.has(joinHostPort(flow.replySource, flow.replySourcePort));
  });
}

function udpEndpoints({ services }: ProxyState) {
  const byAddress = new Map<string, Set<string>>();
  const byNodePort = new Map<number, Set<string>>();
  for (const service of services.values()) {
    if (service.protocol !== 'UDP') continue;
    const endpoints = new Set(service.endpoints.reachable.map(({ address }) => address));
    const ips = [service.clusterIP, ...service.externalIPs, ...service.loadBalancerIPs];
    for (const ip of ips) byAddress.set(joinHostPort(ip, service.port), endpoints);
    if (service.nodePort !== 0) byNodePort.set(service.nodePort, endpoints);
  }
  return { byAddress, byNodePort };
}
