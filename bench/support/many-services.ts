import type { EndpointSlice, Service } from '../../src/api/types.ts';

/** Endpoints of each service. */
export const ENDPOINTS = 5;

const STORED = { namespace: 'default', uid: '', resourceVersion: '', creationTimestamp: '' };

/** Service number `index`, of one TCP port. */
export function benchService(index: number): Service {
  const clusterIP = `10.${100 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...STORED, name: `s${index}` },
    spec: {
      type: 'ClusterIP',
      clusterIP,
      clusterIPs: [clusterIP],
      ipFamilies: ['IPv4'],
      ports: [{ name: 'p', port: 80, protocol: 'TCP', targetPort: 8080 }],
    },
  };
}

/** The endpoints of service number `index`: `count` Pods of nodes elsewhere. */
export function benchSlice(index: number, count = ENDPOINTS): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      ...STORED,
      name: `s${index}-a`,
      labels: { 'kubernetes.io/service-name': `s${index}` },
    },
    addressType: 'IPv4',
    ports: [{ name: 'p', port: 8080, protocol: 'TCP' }],
    endpoints: Array.from({ length: count }, (_, i) => {
      const number = index * ENDPOINTS + i;
      return {
        addresses: [`10.${200 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`],
        nodeName: `node-${number % 100}`,
        conditions: { ready: true, serving: true, terminating: false },
      };
    }),
  };
}
