import { cidrContains } from '../../util/ip.ts';
import type { Element } from '../element-store.ts';
import type { LocalTraffic } from '../local-traffic.ts';
import {
  type Endpoint,
  isExternallyAccessible,
  type ServicePort,
  usesClusterEndpoints,
  usesLocalEndpoints,
} from '../model.ts';
import { endpointBase, serviceBase } from './names.ts';

export interface RuleOptions {
  readonly family: 4 | 6;
  readonly mark: string;
  readonly masqueradeAll: boolean;
  readonly localTraffic: LocalTraffic;
  readonly nodeIP: string | undefined;
}

export type ElementSet =
  | 'cluster-ips'
  | 'hairpin-connections'
  | 'service-ips'
  | 'service-nodeports'
  | 'no-endpoint-services'
  | 'no-endpoint-nodeports'
  | 'firewall-ips';

/** What one service port adds to the table. */
export interface ServiceRules {
  readonly elements: Element<ElementSet>[];
  /** Chains of its own and their rules. */
  readonly chains: Map<string, string[]>;
  /** Sets that remember clients, with their time-out in seconds. */
  readonly affinitySets: Map<string, number>;
}

interface Context {
  readonly service: ServicePort;
  readonly options: RuleOptions;
  readonly base: string;
  readonly ip: 'ip' | 'ip6';
  readonly rules: ServiceRules;
  readonly hasInternal: boolean;
  readonly hasExternal: boolean;
}

/** The chains and map entries of one service port, under upstream's names. Pure. */
export function renderService(service: ServicePort, options: RuleOptions): ServiceRules {
  const { any, local } = service.endpoints;
  const context: Context = {
    service,
    options,
    base: serviceBase(service),
    ip: options.family === 4 ? 'ip' : 'ip6',
    hasInternal: any && !(service.internalLocal && local.length === 0),
    hasExternal: any && !(service.externalLocal && local.length === 0),
    rules: { elements: [], chains: new Map(), affinitySets: new Map() },
  };
  captureClusterIP(context);
  captureExternal(context);
  captureNodePort(context);
  externalChain(context);
  const { cluster } = service.endpoints;
  if (usesClusterEndpoints(service) && cluster.length > 0) {
    balance(context, `service-${context.base}`, cluster);
  }
  if (usesLocalEndpoints(service) && local.length > 0) {
    balance(context, `local-${context.base}`, local);
  }
  endpointRules(context);
  return context.rules;
}

function add({ rules }: Context, set: ElementSet, key: string, value = ''): void {
  rules.elements.push({ set, key, value });
}

function portKey({ service }: Context, port: number): string {
  return `${service.protocol.toLowerCase()} . ${port}`;
}

/** Nobody serves it: refuse. Somebody elsewhere does: be silent. */
function refusal({ service }: Context): string {
  return service.endpoints.any ? 'drop' : 'goto reject-chain';
}

function captureClusterIP(context: Context): void {
  const { service, base, hasInternal } = context;
  const key = `${service.clusterIP} . ${portKey(context, service.port)}`;
  add(context, 'cluster-ips', service.clusterIP);
  if (!hasInternal) add(context, 'no-endpoint-services', key, refusal(context));
  else {
    const chain = service.internalLocal ? `local-${base}` : `service-${base}`;
    add(context, 'service-ips', key, `goto ${chain}`);
  }
}

function captureExternal(context: Context): void {
  const { service, base, rules, hasExternal } = context;
  const port = portKey(context, service.port);
  for (const ip of [...service.externalIPs, ...service.loadBalancerIPs]) {
    const key = `${ip} . ${port}`;
    if (service.endpoints.any) add(context, 'service-ips', key, `goto external-${base}`);
    if (!hasExternal) add(context, 'no-endpoint-services', key, refusal(context));
  }
  if (service.sourceRanges.length === 0 || service.loadBalancerIPs.length === 0) return;
  for (const ip of service.loadBalancerIPs) {
    add(context, 'firewall-ips', `${ip} . ${port}`, `goto firewall-${base}`);
  }
  rules.chains.set(`firewall-${base}`, [
    `${context.ip} saddr != { ${allowedSources(context).join(', ')} } drop`,
  ]);
}

function allowedSources({ service, options }: Context): string[] {
  const { nodeIP } = options;
  const { sourceRanges, loadBalancerIPs } = service;
  // The balancer's address is often local to the node: its own requests come with that address as source.
  const nodeToo = nodeIP !== undefined && sourceRanges.some((cidr) => cidrContains(cidr, nodeIP));
  const all = nodeToo ? [...sourceRanges, ...loadBalancerIPs] : sourceRanges;
  return withoutOverlaps(all);
}

/** An interval set refuses entries that lie within others. */
function withoutOverlaps(cidrs: readonly string[]): string[] {
  const distinct = [...new Set(cidrs)];
  return distinct.filter((cidr) => {
    const [address = '', bits = ''] = cidr.split('/');
    return !distinct.some(
      (other) =>
        other !== cidr &&
        other.includes('/') &&
        (bits === '' || Number(other.split('/')[1]) < Number(bits)) &&
        cidrContains(other, address),
    );
  });
}

function captureNodePort(context: Context): void {
  const { service, base, hasExternal } = context;
  if (service.nodePort === 0) return;
  const key = portKey(context, service.nodePort);
  if (service.endpoints.any) add(context, 'service-nodeports', key, `goto external-${base}`);
  if (!hasExternal) add(context, 'no-endpoint-nodeports', key, refusal(context));
}

function externalChain(context: Context): void {
  const { service, base, options, rules, hasExternal } = context;
  if (!service.endpoints.any || !isExternallyAccessible(service)) return;
  const mark = `mark set mark or ${options.mark}`;
  const lines: string[] = [];
  rules.chains.set(`external-${base}`, lines);
  if (!service.externalLocal) {
    lines.push(mark, `goto service-${base}`);
    return;
  }
  // Sources inside the cluster are held to no policy: as if they had gone out and come back in.
  const fromPods = matchPods(options.localTraffic, context.ip, true);
  if (fromPods) {
    lines.push(`${fromPods} goto service-${base} comment "short-circuit pod traffic"`);
  }
  lines.push(`fib saddr type local ${mark} comment "masquerade local traffic"`);
  lines.push(`fib saddr type local goto service-${base} comment "short-circuit local traffic"`);
  if (hasExternal) lines.push(`goto local-${base}`);
}

/** Matches traffic from this node's Pods, or all other; undefined when Pods cannot be told. */
export function matchPods(
  traffic: LocalTraffic,
  ip: 'ip' | 'ip6',
  isLocal: boolean,
): string | undefined {
  const not = isLocal ? '' : '!= ';
  switch (traffic.by) {
    case 'none':
      return undefined;
    case 'cidr':
      return `${ip} saddr ${not}${one(traffic.cidrs)}`;
    case 'interface':
      return `iifname ${not}"${traffic.name}"`;
    case 'interface-prefix':
      return `iifname ${not}"${traffic.prefix}*"`;
  }
}

function one(cidrs: readonly string[]): string {
  return cidrs.length === 1 ? String(cidrs[0]) : `{ ${cidrs.join(', ')} }`;
}

// The kernel looks through all sets of a table, anonymous ones as well, for each one that comes or goes: a map in every
// service's chain would make a whole sync quadratic. Below this many endpoints a chain of chances is as fast as a map.
const MAX_RULES = 16;

function balance(context: Context, chain: string, endpoints: readonly Endpoint[]): void {
  const { service, rules, ip } = context;
  const translate = `meta l4proto ${service.protocol.toLowerCase()}`;
  if (service.affinitySeconds === undefined) {
    const lines =
      endpoints.length > MAX_RULES
        ? mapOfEndpoints(endpoints, `${translate} dnat ${ip} addr . port to`, translate)
        : chances(endpoints).map((chance, i) => {
            return `${translate} ${chance}dnat to ${endpoints[i]?.address}`;
          });
    rules.chains.set(chain, lines);
    return;
  }
  const bases = endpoints.map((endpoint) => endpointBase(service, endpoint));
  rules.chains.set(chain, [
    ...bases.map((base) => `${ip} saddr @affinity-${base} goto endpoint-${base}`),
    ...chances(bases).map((chance, i) => `${chance}goto endpoint-${bases[i]}`),
  ]);
}

/** The match for each of several choices, tried one after the other, that gives all the same chance. */
function chances(choices: readonly unknown[]): string[] {
  return choices.map((_, index) => {
    const left = choices.length - index;
    return left === 1 ? '' : `numgen random mod ${left} == 0 `;
  });
}

function mapOfEndpoints(
  endpoints: readonly Endpoint[],
  toMap: string,
  translate: string,
): string[] {
  const targets = endpoints.map((e, i) => `${i} : ${e.ip} . ${e.port}`).join(', ');
  return [
    `${toMap} numgen random mod ${endpoints.length} map { ${targets} }`,
    // A packet that is in this chain while it is replaced goes on in the old rules, but their map is empty
    // from that moment on (the kernel looks up by the newest generation): it must not fall through.
    `${translate} dnat to ${endpoints[0]?.address}`,
  ];
}

function endpointRules(context: Context): void {
  const { service, rules, ip } = context;
  const protocol = service.protocol.toLowerCase();
  for (const endpoint of service.endpoints.reachable) {
    if (endpoint.isLocal) {
      const key = `${endpoint.ip} . ${endpoint.ip} . ${protocol} . ${endpoint.port}`;
      add(context, 'hairpin-connections', key);
    }
    if (service.affinitySeconds === undefined) continue;
    const base = endpointBase(service, endpoint);
    rules.affinitySets.set(`affinity-${base}`, service.affinitySeconds);
    rules.chains.set(`endpoint-${base}`, [
      `update @affinity-${base} { ${ip} saddr }`,
      `meta l4proto ${protocol} dnat to ${endpoint.address}`,
    ]);
  }
}
