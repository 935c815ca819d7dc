import { describe, expect, it } from 'vitest';
import type { Service } from '../../../api/types.ts';
import { dropTypeDependent } from './service-type-change.ts';

const service = (spec: object, status: object = { loadBalancer: {} }): Service =>
  ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default' },
    spec,
    status,
  }) as unknown as Service;

const ADDRESS = {
  clusterIP: '10.96.0.5',
  clusterIPs: ['10.96.0.5'],
  ipFamilies: ['IPv4'],
  ipFamilyPolicy: 'SingleStack',
};
const NODE_PORT = {
  type: 'NodePort',
  ...ADDRESS,
  externalTrafficPolicy: 'Cluster',
  ports: [{ port: 80, protocol: 'TCP', nodePort: 30_080 }],
};
const PLAIN_PORTS = [{ port: 80, protocol: 'TCP' }];

describe('a Service of another type', () => {
  it.each<[string, object, object, object]>([
    [
      'NodePort to ExternalName: no address, no port, no policy',
      NODE_PORT,
      { type: 'ExternalName', externalName: 'example.com' },
      { type: 'ExternalName', externalName: 'example.com', ports: PLAIN_PORTS },
    ],
    [
      'NodePort to ClusterIP: the address stays',
      NODE_PORT,
      { type: 'ClusterIP' },
      { type: 'ClusterIP', ...ADDRESS, ports: PLAIN_PORTS },
    ],
    [
      'NodePort to ClusterIP with external IPs: the policy stays',
      NODE_PORT,
      { type: 'ClusterIP', externalIPs: ['203.0.113.1'] },
      {
        type: 'ClusterIP',
        ...ADDRESS,
        externalIPs: ['203.0.113.1'],
        externalTrafficPolicy: 'Cluster',
        ports: PLAIN_PORTS,
      },
    ],
    [
      'LoadBalancer to NodePort: no class, no health port',
      {
        ...NODE_PORT,
        type: 'LoadBalancer',
        externalTrafficPolicy: 'Local',
        healthCheckNodePort: 31_000,
        allocateLoadBalancerNodePorts: true,
        loadBalancerClass: 'example.com/lb',
      },
      { type: 'NodePort' },
      { ...NODE_PORT, externalTrafficPolicy: 'Local' },
    ],
    [
      'what is changed as well is refused later, not dropped',
      NODE_PORT,
      { type: 'ClusterIP', externalTrafficPolicy: 'Local' },
      { type: 'ClusterIP', ...ADDRESS, externalTrafficPolicy: 'Local', ports: PLAIN_PORTS },
    ],
  ])('gives up what only the old one needs: %s', (_what, old, change, expected) => {
    const after = service(structuredClone({ ...old, ...change }));
    dropTypeDependent(after, service(old));
    expect(after.spec).toEqual(expected);
  });

  it('has no load balancer any more', () => {
    const balanced = { loadBalancer: { ingress: [{ ip: '203.0.113.1' }] } };
    const old = service({ ...NODE_PORT, type: 'LoadBalancer' }, balanced);
    const after = service({ ...NODE_PORT }, structuredClone(balanced));
    dropTypeDependent(after, old);
    expect(after.status?.loadBalancer).toEqual({});
  });
});
