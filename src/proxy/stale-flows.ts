import type { Flow } from '../host/conntrack.ts';
import { joinHostPort } from '../util/ip.ts';
import { changedIds, type ProxyState, type ServicePort } from './model.ts';

/**
 * Brings the UDP service ports in `known` up to `state`. Answers what those that are new, others or gone were before;
 * undefined: there are none such, so no flow has gone stale.
 */
export function changedUdpServices(
  known: Map<string, ServicePort>,
  state: ProxyState,
): readonly ServicePort[] | undefined {
  let changed = false;
  const former: ServicePort[] = [];
  for (const id of changedIds(known, state)) {
    const before = known.get(id);
    const service = state.services.get(id);
    const after = service?.protocol === 'UDP' ? service : undefined;
    if (before === after) continue;
    changed = true;
    if (before) former.push(before);
    if (after) known.set(id, after);
    else known.delete(id);
  }
  return changed ? former : undefined;
}

/**
 * Flows to an address of a UDP service that are not translated to one of its present endpoints, and those to an address that
 * `former` services have given up. UDP has no end of connection: the kernel would go on sending a busy client's packets to an
 * endpoint that is gone or no longer of the service, or to nowhere when the client spoke before the first endpoint came. Pure.
 */
export function staleFlows(
  flows: readonly Flow[],
  { services }: ProxyState,
  former: readonly ServicePort[] = [],
): Flow[] {
  const now = udpTargets(services.values());
  const before = udpTargets(former);
  return flows.filter((flow) => {
    const reply = joinHostPort(flow.replySource, flow.replySourcePort);
    const present = endpointsAt(now, flow);
    return present ? !present.has(reply) : endpointsAt(before, flow)?.has(reply);
  });
}

interface Targets {
  readonly byAddress: Map<string, Set<string>>;
  readonly byNodePort: Map<number, Set<string>>;
}

function endpointsAt({ byAddress, byNodePort }: Targets, flow: Flow): Set<string> | undefined {
  const target = joinHostPort(flow.destination, flow.destinationPort);
  return byAddress.get(target) ?? byNodePort.get(flow.destinationPort);
}

/** The endpoints behind each address of UDP services. */
function udpTargets(services: Iterable<ServicePort>): Targets {
  const targets: Targets = { byAddress: new Map(), byNodePort: new Map() };
  for (const service of services) {
    if (service.protocol !== 'UDP') continue;
    const endpoints = new Set(service.endpoints.reachable.map(({ address }) => address));
    const ips = [service.clusterIP, ...service.externalIPs, ...service.loadBalancerIPs];
    for (const ip of ips) targets.byAddress.set(joinHostPort(ip, service.port), endpoints);
    if (service.nodePort !== 0) targets.byNodePort.set(service.nodePort, endpoints);
  }
  return targets;
}
