import type { Draft, EndpointSlice, Endpoints, OwnerReference } from '../../api/types.ts';
import { jsonEqual } from '../../util/json.ts';

export const SERVICE_NAME = 'kubernetes.io/service-name';
export const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
export const MANAGER = 'endpointslicemirroring-controller.k8s.io';
/** Annotations that mean something for one object only. */
const OWN_ANNOTATIONS = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  'endpoints.kubernetes.io/last-change-trigger-time',
]);

type Subset = NonNullable<Endpoints['subsets']>[number];
type Address = NonNullable<Subset['addresses']>[number];
type Endpoint = NonNullable<EndpointSlice['endpoints']>[number];

/** What slices of one Endpoints object have in common. */
export interface MirrorFrame {
  readonly owner: OwnerReference;
  /** More of a subset are not mirrored. */
  readonly maxEndpoints: number;
}

export interface Mirror {
  readonly create: Draft<EndpointSlice>[];
  readonly update: EndpointSlice[];
  readonly delete: EndpointSlice[];
}

/** The writes that make slices say what an Endpoints object made by hand says: a slice for each subset and family. Pure. */
export function mirror(
  endpoints: Endpoints,
  frame: MirrorFrame,
  existing: readonly EndpointSlice[],
): Mirror {
  const plan: Mirror = { create: [], update: [], delete: [] };
  const left = [...existing];
  for (const wanted of (endpoints.subsets ?? []).flatMap((s) => slicesOf(endpoints, frame, s))) {
    const at = left.findIndex(
      (slice) =>
        slice.addressType === wanted.addressType &&
        jsonEqual(slice.ports ?? [], wanted.ports ?? []),
    );
    const [current] = at < 0 ? [] : left.splice(at, 1);
    if (!current) plan.create.push(wanted);
    else if (!isSame(current, wanted)) {
      const { labels, annotations, ownerReferences } = wanted.metadata;
      const changed = { ...definedOnly({ labels, annotations, ownerReferences }) };
      const metadata = { ...current.metadata, ...changed };
      plan.update.push({ ...current, metadata, endpoints: wanted.endpoints });
    }
  }
  plan.delete.push(...left);
  return plan;
}

function slicesOf(
  endpoints: Endpoints,
  { owner, maxEndpoints }: MirrorFrame,
  subset: Subset,
): Draft<EndpointSlice>[] {
  const { namespace, name, labels, annotations = {} } = endpoints.metadata;
  const shown = Object.entries(annotations).filter(([key]) => !OWN_ANNOTATIONS.has(key));
  const all = [
    ...(subset.addresses ?? []).map((address) => endpointOf(address, true)),
    ...(subset.notReadyAddresses ?? []).map((address) => endpointOf(address, false)),
  ].slice(0, maxEndpoints);
  const isIpv6 = ({ addresses }: Endpoint) => addresses[0]?.includes(':') ?? false;
  const families = [
    { addressType: 'IPv4', members: all.filter((e) => !isIpv6(e)) },
    { addressType: 'IPv6', members: all.filter(isIpv6) },
  ];
  return families
    .filter(({ members }) => members.length > 0)
    .map(({ addressType, members }) => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        namespace,
        generateName: `${name}-`,
        labels: { ...labels, [SERVICE_NAME]: name, [MANAGED_BY]: MANAGER },
        ...(shown.length > 0 ? { annotations: Object.fromEntries(shown) } : {}),
        ownerReferences: [owner],
      },
      addressType,
      endpoints: members,
      ports: (subset.ports ?? []).map(({ name: port = '', protocol = 'TCP', ...rest }) => ({
        name: port,
        ...rest,
        protocol,
      })),
    }));
}

function endpointOf({ ip, hostname, nodeName, targetRef }: Address, ready: boolean): Endpoint {
  return {
    addresses: [ip],
    conditions: { ready },
    ...(hostname ? { hostname } : {}),
    ...(nodeName ? { nodeName } : {}),
    ...(targetRef ? { targetRef } : {}),
  };
}

function isSame(current: EndpointSlice, wanted: Draft<EndpointSlice>): boolean {
  return (
    jsonEqual(current.endpoints ?? [], wanted.endpoints ?? []) &&
    jsonEqual(current.metadata.labels ?? {}, wanted.metadata.labels ?? {}) &&
    jsonEqual(current.metadata.annotations ?? {}, wanted.metadata.annotations ?? {})
  );
}

function definedOnly<T extends object>(fields: T) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
