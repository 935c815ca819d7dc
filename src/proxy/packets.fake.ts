import type { ServicePort } from './model.ts';
import { servicePort } from './service-port.fake.ts';

/** A packet on its way through the rules of one node. */
export interface Packet {
  readonly hook: 'PREROUTING' | 'OUTPUT';
  readonly source: string;
  readonly destination: string;
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
}

export interface Fate {
  /** Every endpoint that it may be sent to; empty when no rule translates it. */
  readonly endpoints: string[];
  /** Some way to an endpoint marks it for masquerading. */
  readonly masquerade: boolean;
  readonly verdict: 'ACCEPT' | 'REJECT' | 'DROP';
}

export const WEB = servicePort({ endpoints: ['10.244.0.1:8080 local', '10.244.1.2:8080'] });
export const LB = servicePort({
  service: 'lb',
  clusterIP: '10.96.0.2',
  nodePort: 30_080,
  loadBalancerIPs: ['203.0.113.5'],
  externalIPs: ['203.0.113.6'],
  sourceRanges: ['198.51.100.0/24', '198.51.100.7/32', '192.0.2.0/24'],
  externalLocal: true,
  healthCheckNodePort: 31_000,
  affinitySeconds: 600,
  endpoints: ['10.244.0.1:8080 local', '10.244.1.2:8080'],
});
export const EMPTY = servicePort({ service: 'empty', clusterIP: '10.96.0.3', nodePort: 30_081 });
export const LOCAL_ONLY = servicePort({
  service: 'local',
  clusterIP: '10.96.0.4',
  internalLocal: true,
  endpoints: ['10.244.1.2:8080'],
});

/** The addresses of the node, whose Pods are those of 10.244.0.0/16. */
export const NODE_IPS = ['192.0.2.1', '127.0.0.1'];

const BOTH = ['10.244.0.1:8080', '10.244.1.2:8080'];
const LOCAL = ['10.244.0.1:8080'];
const CASES: [string, Partial<Packet>, Partial<Fate>][] = [
  ['Pod to cluster IP', { destination: '10.96.0.1' }, { endpoints: BOTH }],
  [
    'node to cluster IP',
    { hook: 'OUTPUT', source: '192.0.2.1', destination: '10.96.0.1' },
    { endpoints: BOTH, masquerade: true },
  ],
  [
    'stranger to cluster IP',
    { source: '198.51.100.9', destination: '10.96.0.1' },
    { endpoints: BOTH, masquerade: true },
  ],
  [
    'stranger to a node port with policy Local: source kept',
    { source: '198.51.100.9', destination: '192.0.2.1', port: 30_080 },
    { endpoints: LOCAL, masquerade: false },
  ],
  [
    'Pod to a node port with policy Local: no policy inside the cluster',
    { destination: '192.0.2.1', port: 30_080 },
    { endpoints: BOTH },
  ],
  [
    'allowed source to the load balancer',
    { source: '198.51.100.9', destination: '203.0.113.5' },
    { endpoints: LOCAL, masquerade: false },
  ],
  [
    'forbidden source to the load balancer',
    { source: '203.0.113.99', destination: '203.0.113.5' },
    { endpoints: [], verdict: 'DROP' },
  ],
  [
    'anybody to an external IP',
    { source: '203.0.113.99', destination: '203.0.113.6' },
    { endpoints: LOCAL },
  ],
  ['service without endpoints', { destination: '10.96.0.3' }, { endpoints: [], verdict: 'REJECT' }],
  [
    'node port without endpoints',
    { source: '198.51.100.9', destination: '192.0.2.1', port: 30_081 },
    { endpoints: [], verdict: 'REJECT' },
  ],
  [
    'internal policy Local without local endpoints',
    { destination: '10.96.0.4' },
    { endpoints: [], verdict: 'DROP' },
  ],
  ['another port of a cluster IP', { destination: '10.96.0.1', port: 81 }, { endpoints: [] }],
  ['another protocol', { destination: '10.96.0.1', protocol: 'udp' }, { endpoints: [] }],
  ['not a service at all', { destination: '8.8.8.8' }, { endpoints: [], verdict: 'ACCEPT' }],
];

/** Packets to these four services, and what becomes of them in every mode that writes rules. */
export const PACKETS = CASES.map(([name, packet, fate]): [string, Packet, Partial<Fate>] => [
  name,
  {
    hook: 'PREROUTING',
    source: '10.244.0.1',
    destination: '10.96.0.1',
    protocol: 'tcp',
    port: 80,
    ...packet,
  },
  fate,
]);

export function byId(...services: ServicePort[]): Map<string, ServicePort> {
  return new Map(services.map((service) => [service.id, service]));
}
