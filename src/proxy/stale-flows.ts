import type { Flow } from '../host/conntrack.ts';
import { joinHostPort } from '../util/ip.ts';
import { changedIds, type ProxyState, type ServicePort } from './model.ts';

/** Brings the UDP service ports in `known` up to `state`; whether one is new or another object: its flows may have gone stale. */
export function changedUdpServices(known: Map<string, ServicePort>, state: ProxyState): boolean {
  let changed = false;
  for (const id of changedIds(known, state)) {
    const service = state.services.get(id);
    if (service?.protocol !== 'UDP') known.delete(id);
    else if (known.get(id) !== service) {
      known.set(id, service);
      changed = true;
    }
  }
  return changed;
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
