import { SERVICE_FLAGS } from '../../host/ipvs.ts';
import { cidrContains, joinHostPort } from '../../util/ip.ts';
import type { Element } from '../element-store.ts';
import type { Endpoint, ServicePort } from '../model.ts';
import type { SetName } from './sets.ts';

export interface ServiceOptions {
  readonly scheduler: string;
  /** The node's own addresses that answer on node ports. */
  readonly nodePortIPs: readonly string[];
  readonly nodeIP: string | undefined;
}

/**
 * What a service port adds to the kernel: entries of sets, and as sets of their own
 * - `address`: an address of kube-ipvs0;
 * - `server`: a virtual server, `-t IP:PORT`; its value is the scheduler and the time of affinity, as ipvsadm's options;
 * - `destination`: `-t IP:PORT -r IP:PORT`.
 */
export type IpvsSet = SetName | 'address' | 'server' | 'destination';
export type IpvsElement = Element<IpvsSet>;

/** The kernel's entries for one service port. Pure. */
export function renderService(service: ServicePort, options: ServiceOptions): IpvsElement[] {
  const elements: IpvsElement[] = [];
  const context = {
    service,
    options,
    add: (set: IpvsSet, key: string, value = '') => {
      elements.push({ set, key, value });
    },
  };
  clusterIP(context);
  externalIPs(context);
  loadBalancerIPs(context);
  nodePorts(context);
  for (const { ip, port, isLocal } of service.endpoints.reachable) {
    // An endpoint that is its own client must not see itself as the source.
    if (isLocal) context.add('KUBE-LOOP-BACK', `${ip},${protocol(service)}:${port},${ip}`);
  }
  return elements;
}

interface Context {
  readonly service: ServicePort;
  readonly options: ServiceOptions;
  readonly add: (set: IpvsSet, key: string, value?: string) => void;
}

function clusterIP({ service, options, add }: Context): void {
  const { endpoints, internalLocal, clusterIP: ip } = service;
  bind({ service, options, add }, ip, internalLocal ? endpoints.local : endpoints.cluster);
  add('KUBE-CLUSTER-IP', entry(service, ip));
}

function externalIPs(context: Context): void {
  const { service, add } = context;
  const set = service.externalLocal ? 'KUBE-EXTERNAL-IP-LOCAL' : 'KUBE-EXTERNAL-IP';
  for (const ip of service.externalIPs) {
    bind(context, ip, externalEndpoints(service));
    add(set, entry(service, ip));
  }
}

function loadBalancerIPs(context: Context): void {
  const { service, add, options } = context;
  for (const ip of service.loadBalancerIPs) {
    const key = entry(service, ip);
    bind(context, ip, externalEndpoints(service));
    add('KUBE-LOAD-BALANCER', key);
    if (service.externalLocal) add('KUBE-LOAD-BALANCER-LOCAL', key);
    if (service.sourceRanges.length === 0) continue;
    add('KUBE-LOAD-BALANCER-FW', key);
    for (const cidr of service.sourceRanges) {
      for (const net of setNetworks(cidr)) add('KUBE-LOAD-BALANCER-SOURCE-CIDR', `${key},${net}`);
    }
    const { nodeIP } = options;
    // The balancer's address is local to the node: its own requests come with that address as source.
    if (nodeIP !== undefined && service.sourceRanges.some((cidr) => cidrContains(cidr, nodeIP))) {
      add('KUBE-LOAD-BALANCER-SOURCE-IP', `${key},${ip}`);
    }
  }
}

/** As ipset tells them; a set of networks cannot hold one of no bits, so two halves stand for everything. */
function setNetworks(cidr: string): string[] {
  if (!cidr.endsWith('/0')) return [cidr.replace(/(?<=:.*)\/128$|(?<=\..*)\/32$/, '')];
  return cidr.includes(':') ? ['::/1', '8000::/1'] : ['0.0.0.0/1', '128.0.0.0/1'];
}

function nodePorts(context: Context): void {
  const { service, options, add } = context;
  const { nodePort, healthCheckNodePort } = service;
  if (healthCheckNodePort !== 0) add('KUBE-HEALTH-CHECK-NODE-PORT', String(healthCheckNodePort));
  if (nodePort === 0) return;
  const local = service.externalLocal ? 'LOCAL-' : '';
  for (const ip of options.nodePortIPs) {
    server(context, joinHostPort(ip, nodePort), externalEndpoints(service));
    if (service.protocol === 'SCTP') {
      const set = local ? 'KUBE-NODE-PORT-LOCAL-SCTP-HASH' : 'KUBE-NODE-PORT-SCTP-HASH';
      add(set, `${ip},sctp:${nodePort}`);
    }
  }
  if (service.protocol === 'SCTP') return;
  add(`KUBE-NODE-PORT-${local}${service.protocol}` as SetName, String(nodePort));
}

/**
 * As upstream: without local endpoints traffic from Pods goes on to others. Traffic from outside does as well, but is
 * not masqueraded, so its answers come from an address that the client did not ask.
 */
function externalEndpoints({ externalLocal, endpoints }: ServicePort): readonly Endpoint[] {
  return externalLocal && endpoints.local.length > 0 ? endpoints.local : endpoints.cluster;
}

/** A virtual server on an address that this node takes for its own. */
function bind(context: Context, ip: string, endpoints: readonly Endpoint[]): void {
  context.add('address', ip);
  context.add('KUBE-IPVS-IPS', ip);
  server(context, joinHostPort(ip, context.service.port), endpoints);
}

function server(
  { service, options, add }: Context,
  at: string,
  endpoints: readonly Endpoint[],
): void {
  const key = `${SERVICE_FLAGS[service.protocol]} ${at}`;
  const { affinitySeconds } = service;
  const persistent = affinitySeconds === undefined ? '' : ` -p ${affinitySeconds}`;
  add('server', key, `-s ${options.scheduler}${persistent}`);
  for (const { address } of endpoints) add('destination', `${key} -r ${address}`);
}

function entry(service: ServicePort, ip: string): string {
  return `${ip},${protocol(service)}:${service.port}`;
}

function protocol(service: ServicePort): string {
  return service.protocol.toLowerCase();
}
