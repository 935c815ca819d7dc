import { isPodReady } from '../../api/pods.ts';
import type { Endpoints, Pod, Service } from '../../api/types.ts';
import {
  type EndpointPort,
  endpointPorts,
  hostnameIn,
  isEndpoint,
  isHeadless,
  podAddresses,
} from '../service-endpoints.ts';

type Subset = NonNullable<Endpoints['subsets']>[number];
type Address = NonNullable<Subset['addresses']>[number];

/** No more addresses than this, ready ones first (upstream's maxCapacity). */
const MAX_ADDRESSES = 1000;

interface Group {
  readonly ports: readonly EndpointPort[];
  readonly ready: Address[];
  readonly notReady: Address[];
}

/** The subsets of a Service: Pods that offer the same ports together, in a stable order. Pure. */
export function subsetsOf(
  service: Service,
  pods: readonly Pod[],
): { subsets: Subset[]; truncated: boolean } {
  const groups = new Map<string, Group>();
  const publishNotReady = service.spec?.publishNotReadyAddresses ?? false;
  for (const pod of pods) {
    if (!isEndpoint(pod, { terminating: publishNotReady })) continue;
    const address = addressOf(service, pod);
    const ports = endpointPorts(service, pod);
    if (!address || (ports.length === 0 && !portless(service))) continue;
    const id = JSON.stringify(ports);
    const group = groups.get(id) ?? { ports, ready: [], notReady: [] };
    (publishNotReady || isPodReady(pod) ? group.ready : group.notReady).push(address);
    groups.set(id, group);
  }
  return limited([...groups.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, g]) => g));
}

/** A headless Service needs no ports to have addresses. */
function portless(service: Service): boolean {
  return isHeadless(service) && (service.spec?.ports ?? []).length === 0;
}

function addressOf(service: Service, pod: Pod): Address | undefined {
  const wantsIpv6 = (service.spec?.ipFamilies?.[0] ?? '') === 'IPv6';
  const ip = podAddresses(pod).find((address) => address.includes(':') === wantsIpv6);
  if (ip === undefined) return undefined;
  const { namespace, name, uid } = pod.metadata;
  const hostname = hostnameIn(service, pod);
  return {
    ip,
    ...(hostname === undefined ? {} : { hostname }),
    ...(pod.spec?.nodeName ? { nodeName: pod.spec.nodeName } : {}),
    targetRef: { kind: 'Pod', namespace, name, uid },
  };
}

function limited(groups: readonly Group[]): { subsets: Subset[]; truncated: boolean } {
  const total = groups.reduce((sum, g) => sum + g.ready.length + g.notReady.length, 0);
  let room = MAX_ADDRESSES;
  const take = (addresses: Address[]) => {
    const taken = addresses.toSorted(byIp).slice(0, room);
    room -= taken.length;
    return taken;
  };
  const ready = groups.map((group) => take(group.ready));
  const subsets = groups.map((group, i): Subset => {
    const addresses = ready[i] ?? [];
    const notReadyAddresses = take(group.notReady);
    return {
      ...(addresses.length > 0 ? { addresses } : {}),
      ...(notReadyAddresses.length > 0 ? { notReadyAddresses } : {}),
      ...(group.ports.length > 0 ? { ports: group.ports.map(shownPort) } : {}),
    };
  });
  const filled = subsets.filter((s) => s.addresses ?? s.notReadyAddresses);
  return { subsets: filled, truncated: total > MAX_ADDRESSES };
}

/** An unnamed port has no name here, where slices have the empty one. */
function shownPort({ name, ...rest }: EndpointPort) {
  return { ...(name === '' ? {} : { name }), ...rest };
}

function byIp(a: Address, b: Address): number {
  return a.ip < b.ip ? -1 : Number(a.ip > b.ip);
}
