import type { EndpointSlice, Service } from '../api/types.ts';

type SliceEndpoint = NonNullable<EndpointSlice['endpoints']>[number];
type Conditions = NonNullable<SliceEndpoint['conditions']>;

/** Nearly every endpoint is like this: one object for all of them. */
const READY: Conditions = { ready: true, serving: true, terminating: false };

/** What routing reads of a Service. A proxy holds all Services of the cluster, so the rest is not kept. Pure. */
export function slimService({ apiVersion, kind, metadata, spec, status }: Service): Service {
  const { name, namespace, uid, resourceVersion, creationTimestamp, labels } = metadata;
  const loadBalancer = status?.loadBalancer;
  return {
    apiVersion,
    kind,
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp, ...given({ labels }) },
    ...given({ spec }),
    ...(loadBalancer?.ingress ? { status: { loadBalancer } } : {}),
  };
}

/** What routing reads of an EndpointSlice. `names` holds each node's name once. */
export function slimSlice(slice: EndpointSlice, names: Map<string, string>): EndpointSlice {
  const { apiVersion, kind, metadata, addressType, ports, endpoints } = slice;
  const { name, namespace, uid, resourceVersion, creationTimestamp, labels, annotations } =
    metadata;
  const kept = { name, namespace, uid, resourceVersion, creationTimestamp };
  return {
    apiVersion,
    kind,
    metadata: { ...kept, ...given({ labels, annotations }) },
    addressType,
    ...given({ ports }),
    endpoints: (endpoints ?? []).map((endpoint) => slimEndpoint(endpoint, names)),
  };
}

function slimEndpoint(
  { addresses, conditions, hints, nodeName }: SliceEndpoint,
  names: Map<string, string>,
): SliceEndpoint {
  return {
    addresses,
    ...given({
      conditions: conditions && isReady(conditions) ? READY : conditions,
      hints,
      nodeName: nodeName === undefined ? undefined : once(names, nodeName),
    }),
  };
}

function isReady({ ready, serving, terminating }: Conditions): boolean {
  return ready === true && serving === true && terminating === false;
}

function once(names: Map<string, string>, name: string): string {
  const known = names.get(name);
  if (known !== undefined) return known;
  names.set(name, name);
  return name;
}

/** Without the fields that are undefined. */
function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const present = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
