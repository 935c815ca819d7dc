import { cidrContains } from '../../util/ip.ts';
import type { LocalTraffic } from '../local-traffic.ts';
import {
  type Endpoint,
  isExternallyAccessible,
  type ServicePort,
  usesClusterEndpoints,
  usesLocalEndpoints,
} from '../model.ts';
import { endpointChain, type ServiceChains, serviceChains } from './chains.ts';

export interface RuleOptions {
  readonly masqueradeAll: boolean;
  readonly localTraffic: LocalTraffic;
  /** An address of this node in the family, for the rule that lets the node itself through a firewall chain. */
  readonly nodeIP: string | undefined;
}

/** What one service port contributes to each shared chain (rules without `-A CHAIN`), and the chains of its own. */
export interface ServiceRules {
  readonly natServices: string[];
  readonly natNodePorts: string[];
  readonly filterServices: string[];
  readonly filterExternal: string[];
  readonly filterNodePorts: string[];
  readonly filterFirewall: string[];
  /** Chains of the nat table. */
  readonly chains: Map<string, string[]>;
}

interface Context {
  readonly service: ServicePort;
  readonly options: RuleOptions;
  readonly names: ServiceChains;
  readonly rules: ServiceRules;
  readonly hasInternal: boolean;
  readonly hasExternal: boolean;
}

/** The rules of one service port, in upstream's form and order. Pure. */
export function renderService(service: ServicePort, options: RuleOptions): ServiceRules {
  const { any, local } = service.endpoints;
  const context: Context = {
    service,
    options,
    names: serviceChains(service),
    hasInternal: any && !(service.internalLocal && local.length === 0),
    hasExternal: any && !(service.externalLocal && local.length === 0),
    rules: {
      natServices: [],
      natNodePorts: [],
      filterServices: [],
      filterExternal: [],
      filterNodePorts: [],
      filterFirewall: [],
      chains: new Map(),
    },
  };
  captureClusterIP(context);
  captureExternalIPs(context);
  captureLoadBalancer(context);
  captureNodePort(context);
  externalChain(context);
  firewallChain(context);
  policyChains(context);
  endpointChains(context);
  return context.rules;
}

function comment(text: string): string {
  return `-m comment --comment "${text}"`;
}

function to(service: ServicePort, ip: string | undefined, port: number): string {
  const protocol = service.protocol.toLowerCase();
  const destination = ip === undefined ? '' : ` -d ${ip}`;
  return `-m ${protocol} -p ${protocol}${destination} --dport ${port}`;
}

/** What answers a packet that no endpoint can take: a refusal, or silence where another node may serve it. */
function refusal({ service }: Context): { comment: string; target: string } {
  const none = !service.endpoints.any;
  return {
    comment: comment(`${service.name} has no ${none ? '' : 'local '}endpoints`),
    target: none ? 'REJECT' : 'DROP',
  };
}

function captureClusterIP(context: Context): void {
  const { service, names, rules, hasInternal, options } = context;
  const match = to(service, service.clusterIP, service.port);
  if (!hasInternal) {
    const { comment: why, target } = refusal(context);
    rules.filterServices.push(`${why} ${match} -j ${target}`);
    return;
  }
  const chain = service.internalLocal ? names.local : names.cluster;
  const capture = `${comment(`${service.name} cluster IP`)} ${match}`;
  rules.natServices.push(`${capture} -j ${chain}`);
  if (options.masqueradeAll) chainOf(context, chain).push(`${capture} -j KUBE-MARK-MASQ`);
  else {
    const notLocal = matchLocal(options.localTraffic, false);
    if (notLocal) chainOf(context, chain).push(`${capture} ${notLocal} -j KUBE-MARK-MASQ`);
  }
}

function chainOf({ rules }: Context, name: string): string[] {
  const known = rules.chains.get(name) ?? [];
  rules.chains.set(name, known);
  return known;
}

function matchLocal(traffic: LocalTraffic, isLocal: boolean): string | undefined {
  const not = isLocal ? '' : '! ';
  switch (traffic.by) {
    case 'none':
      return undefined;
    case 'cidr':
      return traffic.cidrs[0] === undefined ? undefined : `${not}-s ${traffic.cidrs[0]}`;
    case 'interface':
      return `${not}-i ${traffic.name}`;
    case 'interface-prefix':
      return `${not}-i ${traffic.prefix}+`;
  }
}

function captureExternalIPs(context: Context): void {
  const { service, names, rules, hasExternal } = context;
  for (const ip of service.externalIPs) {
    const match = to(service, ip, service.port);
    if (service.endpoints.any) {
      const why = comment(`${service.name} external IP`);
      rules.natServices.push(`${why} ${match} -j ${names.external}`);
    }
    if (!hasExternal) refuseExternal(context, match);
  }
}

function refuseExternal(context: Context, match: string): void {
  const { comment: why, target } = refusal(context);
  context.rules.filterExternal.push(`${why} ${match} -j ${target}`);
}

function usesFirewall({ endpoints, loadBalancerIPs, sourceRanges }: ServicePort): boolean {
  return endpoints.any && loadBalancerIPs.length > 0 && sourceRanges.length > 0;
}

function captureLoadBalancer(context: Context): void {
  const { service, names, rules, hasExternal } = context;
  const firewalled = usesFirewall(service);
  for (const ip of service.loadBalancerIPs) {
    const match = to(service, ip, service.port);
    if (service.endpoints.any) {
      const why = comment(`${service.name} loadbalancer IP`);
      const target = firewalled ? names.firewall : names.external;
      rules.natServices.push(`${why} ${match} -j ${target}`);
    }
    if (firewalled) {
      const why = comment(`${service.name} traffic not accepted by ${names.firewall}`);
      rules.filterFirewall.push(`${why} ${match} -j DROP`);
    }
    if (!hasExternal) refuseExternal(context, match);
  }
}

function captureNodePort(context: Context): void {
  const { service, names, rules, hasExternal } = context;
  if (service.nodePort !== 0) {
    const match = to(service, undefined, service.nodePort);
    if (service.endpoints.any) {
      rules.natNodePorts.push(`${comment(service.name)} ${match} -j ${names.external}`);
    }
    if (!hasExternal) refuseExternal(context, `-m addrtype --dst-type LOCAL ${match}`);
  }
  if (service.healthCheckNodePort !== 0) {
    const why = comment(`${service.name} health check node port`);
    const match = `-m tcp -p tcp --dport ${service.healthCheckNodePort}`;
    rules.filterNodePorts.push(`${why} ${match} -j ACCEPT`);
  }
}

function externalChain(context: Context): void {
  const { service, names, options, hasExternal } = context;
  if (!service.endpoints.any || !isExternallyAccessible(service)) return;
  const rules = chainOf(context, names.external);
  if (service.externalLocal) {
    // Sources inside the cluster are held to no policy: as if they had gone out and come back in.
    const fromPods = matchLocal(options.localTraffic, true);
    if (fromPods) {
      const why = comment(`pod traffic for ${service.name} external destinations`);
      rules.push(`${why} ${fromPods} -j ${names.cluster}`);
    }
    const fromNode = '-m addrtype --src-type LOCAL';
    const masquerade = comment(
      `masquerade LOCAL traffic for ${service.name} external destinations`,
    );
    const route = comment(`route LOCAL traffic for ${service.name} external destinations`);
    rules.push(`${masquerade} ${fromNode} -j KUBE-MARK-MASQ`);
    rules.push(`${route} ${fromNode} -j ${names.cluster}`);
  } else {
    const why = comment(`masquerade traffic for ${service.name} external destinations`);
    rules.push(`${why} -j KUBE-MARK-MASQ`);
  }
  if (hasExternal) rules.push(`-j ${service.externalLocal ? names.local : names.cluster}`);
}

function firewallChain(context: Context): void {
  const { service, names, options } = context;
  if (!usesFirewall(service)) return;
  const rules = chainOf(context, names.firewall);
  const why = comment(`${service.name} loadbalancer IP`);
  const sources = [...service.sourceRanges];
  const { nodeIP } = options;
  // The balancer's address is often local to the node: its own requests come with that address as source.
  if (nodeIP !== undefined && sources.some((cidr) => cidrContains(cidr, nodeIP))) {
    sources.push(...service.loadBalancerIPs);
  }
  for (const source of sources) rules.push(`${why} -s ${source} -j ${names.external}`);
  rules.push(comment(`other traffic to ${service.name} will be dropped by KUBE-PROXY-FIREWALL`));
}

function policyChains(context: Context): void {
  const { service, names } = context;
  const { cluster, local } = service.endpoints;
  if (usesClusterEndpoints(service) && cluster.length > 0) balance(context, names.cluster, cluster);
  if (usesLocalEndpoints(service) && local.length > 0) balance(context, names.local, local);
}

function balance(context: Context, chain: string, endpoints: readonly Endpoint[]): void {
  const { service } = context;
  const rules = chainOf(context, chain);
  const targets = endpoints.map((endpoint) => ({
    why: comment(`${service.name} -> ${endpoint.address}`),
    chain: endpointChain(service, endpoint),
  }));
  if (service.affinitySeconds !== undefined) {
    for (const target of targets) {
      const recent = `-m recent --name ${target.chain} --rcheck --seconds ${service.affinitySeconds} --reap`;
      rules.push(`${target.why} ${recent} -j ${target.chain}`);
    }
  }
  targets.forEach((target, index) => {
    const left = targets.length - index;
    const chance =
      left === 1 ? '' : ` -m statistic --mode random --probability ${probability(left)}`;
    rules.push(`${target.why}${chance} -j ${target.chain}`);
  });
}

/** One in `n`, in the ten decimals that the kernel's 31 bits can hold. */
function probability(n: number): string {
  return (1 / n).toFixed(10);
}

function endpointChains(context: Context): void {
  const { service } = context;
  const protocol = service.protocol.toLowerCase();
  const why = comment(service.name);
  for (const endpoint of service.endpoints.reachable) {
    const name = endpointChain(service, endpoint);
    const rules = chainOf(context, name);
    rules.push(`${why} -s ${endpoint.ip} -j KUBE-MARK-MASQ`);
    const recent = service.affinitySeconds === undefined ? '' : ` -m recent --name ${name} --set`;
    const target = `-j DNAT --to-destination ${endpoint.address}`;
    rules.push(`${why}${recent} -m ${protocol} -p ${protocol} ${target}`);
  }
}
