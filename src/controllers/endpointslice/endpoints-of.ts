import { isPodReady } from '../../api/pods.ts';
import type { EndpointSlice, Node, Pod, Service } from '../../api/types.ts';
import {
  type EndpointPort,
  endpointPorts,
  hostnameIn,
  isEndpoint,
  podAddresses,
} from '../service-endpoints.ts';

export type Endpoint = NonNullable<EndpointSlice['endpoints']>[number];
export type AddressType = 'IPv4' | 'IPv6';

/** Endpoints that offer the same ports: slices of their own. */
export interface PortGroup {
  readonly ports: readonly EndpointPort[];
  readonly endpoints: Endpoint[];
}

const TOPOLOGY_MODE = 'service.kubernetes.io/topology-mode';
const OLD_TOPOLOGY_MODE = 'service.kubernetes.io/topology-aware-hints';
const ZONE = 'topology.kubernetes.io/zone';

/** The address types that a Service wants slices for. */
export function addressTypesOf({ spec }: Service): AddressType[] {
  const families = spec?.ipFamilies ?? [];
  if (families.length > 0) return families as AddressType[];
  return [familyOf(spec?.clusterIP ?? '') ?? 'IPv4'];
}

/** A Service's endpoints of one address type, grouped by their ports. Pure. */
export function portGroups(
  service: Service,
  addressType: AddressType,
  pods: readonly Pod[],
  nodeOf: (name: string) => Node | undefined,
): PortGroup[] {
  const groups = new Map<string, PortGroup>();
  for (const pod of pods) {
    if (!isEndpoint(pod, { terminating: true })) continue;
    const address = podAddresses(pod).find((ip) => familyOf(ip) === addressType);
    if (address === undefined) continue;
    const ports = endpointPorts(service, pod);
    const id = JSON.stringify(ports);
    const group = groups.get(id) ?? { ports, endpoints: [] };
    group.endpoints.push(endpointOf(service, pod, address, nodeOf(pod.spec?.nodeName ?? '')));
    groups.set(id, group);
  }
  return [...groups.values()];
}

function endpointOf(service: Service, pod: Pod, address: string, node: Node | undefined): Endpoint {
  const serving = isPodReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const { namespace, name, uid } = pod.metadata;
  const hostname = hostnameIn(service, pod);
  const zone = node?.metadata.labels?.[ZONE];
  const nodeName = pod.spec?.nodeName;
  const publishNotReady = service.spec?.publishNotReadyAddresses ?? false;
  const hints = hintsOf(service, zone, nodeName);
  return {
    addresses: [address],
    conditions: { ready: publishNotReady || (serving && !terminating), serving, terminating },
    ...(hints ? { hints } : {}),
    ...(hostname === undefined ? {} : { hostname }),
    ...(nodeName ? { nodeName } : {}),
    targetRef: { kind: 'Pod', namespace, name, uid },
    ...(zone ? { zone } : {}),
  };
}

/** The Service asks for hints that spread traffic over zones by their CPUs (KEP-2433). */
export function wantsAutoHints({ metadata }: Service): boolean {
  const { [TOPOLOGY_MODE]: mode, [OLD_TOPOLOGY_MODE]: old } = metadata.annotations ?? {};
  return ['Auto', 'auto'].includes(mode ?? old ?? '');
}

/** KEP-4444 and KEP-3015: who should use this endpoint, when the Service asks for nearness. */
function hintsOf(
  service: Service,
  zone: string | undefined,
  nodeName: string | undefined,
): Endpoint['hints'] {
  const near = service.spec?.trafficDistribution;
  if (wantsAutoHints(service)) return undefined; // decided for all endpoints together
  if (near !== 'PreferClose' && near !== 'PreferSameZone' && near !== 'PreferSameNode') {
    return undefined;
  }
  const forZones = zone ? { forZones: [{ name: zone }] } : {};
  const forNodes = near === 'PreferSameNode' && nodeName ? { forNodes: [{ name: nodeName }] } : {};
  const hints = { ...forNodes, ...forZones };
  return Object.keys(hints).length === 0 ? undefined : hints;
}

export function familyOf(address: string): AddressType | undefined {
  if (address.includes(':')) return 'IPv6';
  return address.includes('.') ? 'IPv4' : undefined;
}
