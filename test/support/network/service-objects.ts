import type { KubeObject } from '../../../src/api/types.ts';
import { ADDRESSES, type PodName } from './network-world.ts';

/** A Service of namespace `default` with port 80, TCP, named `p`, unless `spec` says otherwise. */
export function service(
  name: string,
  clusterIP: string,
  spec: Record<string, unknown> = {},
  status: Record<string, unknown> = {},
): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: {
      type: 'ClusterIP',
      clusterIP,
      clusterIPs: [clusterIP],
      ports: [{ name: 'p', port: 80, protocol: 'TCP' }],
      ...spec,
    },
    status,
  };
}

export interface SliceOptions {
  family?: 4 | 6;
  protocol?: 'TCP' | 'UDP' | 'SCTP';
  /** The port's name. */
  port?: string;
  suffix?: string;
  /** Conditions by Pod. */
  conditions?: Partial<Record<PodName, Record<string, boolean>>>;
  zones?: Partial<Record<PodName, string>>;
  /** Each endpoint is meant for its own node (trafficDistribution PreferSameNode). */
  sameNode?: boolean;
}

/** An EndpointSlice of a service with some Pods of the world behind port `p`. */
export function slice(
  serviceName: string,
  pods: readonly PodName[],
  options: SliceOptions = {},
): KubeObject {
  const { family = 4, protocol = 'TCP', suffix = 'a', port = 'p' } = options;
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${serviceName}-${suffix}${family}`,
      namespace: 'default',
      labels: { 'kubernetes.io/service-name': serviceName },
    },
    addressType: `IPv${family}`,
    ports: [{ name: port, port: 8080, protocol }],
    endpoints: pods.map((pod) => {
      const { ip, ip6, node } = ADDRESSES[pod];
      const zone = options.zones?.[pod];
      return {
        addresses: [family === 4 ? ip : ip6],
        nodeName: node,
        conditions: {
          ready: true,
          serving: true,
          terminating: false,
          ...options.conditions?.[pod],
        },
        ...(zone === undefined ? {} : { hints: { forZones: [{ name: zone }] } }),
        ...(options.sameNode ? { hints: { forNodes: [{ name: node }] } } : {}),
      };
    }),
  };
}
