import { isIPv6 } from 'node:net';
import { isAlreadyExists } from '../api/errors.ts';
import type { KubeObject } from '../api/types.ts';
import { jsonEqual } from '../util/json.ts';
import { addressAt, parseRange } from './allocators/ip-range.ts';
import type { KindRegistry } from './kind-registry.ts';
import type { ResourceKind, WriteContext } from './resource-kind.ts';
import type { ResourceStore } from './resource-store.ts';

export interface KubernetesServiceOptions {
  /** Where this API server is reached. Absent: nowhere but on this machine, and there are no end points. */
  readonly address: string | undefined;
  readonly port: number;
  readonly serviceRanges: readonly string[];
}

/** With the addresses of all API servers of the cluster. */
export type ServiceAndServers = Omit<KubernetesServiceOptions, 'address'> & {
  readonly addresses: readonly string[];
};

const NAMESPACE = 'default';
const NAME = 'kubernetes';
const KEY = { namespace: NAMESPACE, name: NAME };

/** The Service `kubernetes`, by which Pods reach the API server, and its end points: made and kept true. */
export async function ensureKubernetesService(
  deps: { kinds: KindRegistry; store: ResourceStore },
  options: ServiceAndServers,
  context: WriteContext,
): Promise<void> {
  for (const { kind, object } of wanted(deps.kinds, options)) {
    await ensure(deps.store, kind, object, context);
  }
}

function wanted(
  kinds: KindRegistry,
  options: ServiceAndServers,
): { kind: ResourceKind; object: KubeObject }[] {
  const { addresses, port, serviceRanges } = options;
  const [address] = addresses;
  const ranges = serviceRanges.flatMap((cidr) => parseRange(cidr) ?? []);
  const clusterIPs = ranges.map((range) => addressAt(range, 0n)).slice(0, 1);
  const ports = [{ name: 'https', port, protocol: 'TCP' }];
  const all: [string, string, KubeObject][] = [
    [
      '',
      'services',
      object(
        'v1',
        'Service',
        { component: 'apiserver', provider: 'kubernetes' },
        {
          spec: {
            type: 'ClusterIP',
            sessionAffinity: 'None',
            clusterIP: clusterIPs[0],
            clusterIPs,
            ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: port }],
          },
        },
      ),
    ],
  ];
  const reached: typeof all =
    address === undefined
      ? []
      : [
          [
            '',
            'endpoints',
            object(
              'v1',
              'Endpoints',
              { 'endpointslice.kubernetes.io/skip-mirror': 'true' },
              {
                subsets: [{ addresses: addresses.map((ip) => ({ ip })), ports }],
              },
            ),
          ],
          [
            'discovery.k8s.io',
            'endpointslices',
            object(
              'discovery.k8s.io/v1',
              'EndpointSlice',
              { 'kubernetes.io/service-name': NAME },
              {
                addressType: isIPv6(address) ? 'IPv6' : 'IPv4',
                endpoints: addresses.map((one) => ({
                  addresses: [one],
                  conditions: { ready: true },
                })),
                ports,
              },
            ),
          ],
        ];
  return [...all, ...reached].flatMap(([group, resource, object]) => {
    const kind = kinds.get(group, 'v1', resource);
    return kind ? [{ kind, object }] : [];
  });
}

function object(
  apiVersion: string,
  kind: string,
  labels: Record<string, string>,
  rest: object,
): KubeObject {
  return { apiVersion, kind, metadata: { ...KEY, labels }, ...rest };
}

async function ensure(
  store: ResourceStore,
  kind: ResourceKind,
  object: KubeObject,
  context: WriteContext,
): Promise<void> {
  kind.strategy.default?.(object);
  const found = await store.find(kind, KEY);
  if (!found) {
    await store.create(kind, structuredClone(object), context).catch((err) => {
      if (!isAlreadyExists(err)) throw err;
    });
    return;
  }
  const { apiVersion: _a, kind: _k, metadata, ...fields } = object;
  // A Service that is there keeps what was chosen for it.
  if (kind.resource === 'services' || contains(found, fields)) return;
  const change = (current: KubeObject): KubeObject => {
    delete current.metadata.resourceVersion;
    current.metadata.labels = { ...current.metadata.labels, ...metadata.labels };
    return Object.assign(current, structuredClone(fields));
  };
  await store.update(kind, KEY, { strategy: kind.strategy, subresource: '', change }, context);
}

function contains(found: KubeObject, fields: object): boolean {
  return Object.entries(fields).every(([name, value]) => jsonEqual(found[name], value));
}
