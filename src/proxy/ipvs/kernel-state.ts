import type { VirtualServer } from '../../host/ipvs.ts';
import { familyOf } from '../../util/ip.ts';
import type { IpFamily } from '../model.ts';
import type { IpvsElement } from './service-rules.ts';
import { kernelName, SET_NAMES } from './sets.ts';

/** What was read from the kernel. */
export interface KernelState {
  readonly servers: readonly VirtualServer[];
  readonly sets: ReadonlyMap<string, ReadonlySet<string>>;
  /** Of kube-ipvs0. */
  readonly addresses: readonly string[];
}

/**
 * What the kernel holds of ours in one family, and which destinations are being drained. A virtual server is ours
 * when it is one of `wanted` (whose address somebody may have taken), its address is on kube-ipvs0 or its port is in
 * a node port set; others may have their own. Pure.
 */
export function ownElements(
  { servers, sets, addresses }: KernelState,
  family: IpFamily,
  wanted: { has(server: string): boolean } = new Set<string>(),
): { elements: IpvsElement[]; draining: Set<string> } {
  const elements: IpvsElement[] = addresses.map((key) => ({ set: 'address', key, value: '' }));
  for (const set of SET_NAMES) {
    for (const key of sets.get(kernelName(set, family)) ?? []) {
      elements.push({ set, key, value: '' });
    }
  }
  const bound = new Set(addresses);
  const nodePorts = nodePortsOf(sets, family);
  const draining = new Set<string>();
  for (const server of servers) {
    const { ip, port } = targetOf(server.service);
    const isOurs = wanted.has(server.service) || bound.has(ip) || nodePorts.has(port);
    if (isOurs && familyOf(ip) === family) addServer(server, elements, draining);
  }
  return { elements, draining };
}

function addServer(
  { service, scheduler, persistent, destinations }: VirtualServer,
  elements: IpvsElement[],
  draining: Set<string>,
): void {
  const value = `-s ${scheduler}${persistent === undefined ? '' : ` -p ${persistent}`}`;
  elements.push({ set: 'server', key: service, value });
  for (const { address, weight } of destinations) {
    const key = `${service} -r ${address}`;
    if (weight === 0) draining.add(key);
    else elements.push({ set: 'destination', key, value: '' });
  }
}

/** Ports of every node port set, whatever its protocol. */
function nodePortsOf(sets: KernelState['sets'], family: IpFamily): Set<string> {
  const ports = new Set<string>();
  for (const set of SET_NAMES.filter((name) => name.startsWith('KUBE-NODE-PORT'))) {
    for (const entry of sets.get(kernelName(set, family)) ?? []) {
      ports.add(entry.slice(entry.lastIndexOf(':') + 1));
    }
  }
  return ports;
}

function targetOf(service: string): { ip: string; port: string } {
  const target = service.slice(service.lastIndexOf(' ') + 1);
  const colon = target.lastIndexOf(':');
  return { ip: target.slice(0, colon).replace(/[[\]]/g, ''), port: target.slice(colon + 1) };
}

/** Which destinations have no connection, of all that there are. Pure. */
export function idleDestinations(servers: readonly VirtualServer[]): Set<string> {
  return new Set(
    servers.flatMap(({ service, destinations }) =>
      destinations
        .filter(({ connections }) => connections === 0)
        .map(({ address }) => `${service} -r ${address}`),
    ),
  );
}
