import { matchPods, type RuleOptions } from './service-rules.ts';

export interface TableOptions extends RuleOptions {
  /** Node ports answer only on these addresses; undefined: on every address of the node. */
  readonly nodePortIPs: readonly string[] | undefined;
}

interface FixedChain {
  readonly name: string;
  /** Where the kernel enters it; absent for chains that others lead to. */
  readonly hook?: string;
  readonly rules: readonly string[];
}

/** Commands for all of the table that depends on no service: sets, maps, base chains. Pure. */
export function fixedTable(options: TableOptions): string[] {
  const table = options.family === 4 ? 'ip kube-proxy' : 'ip6 kube-proxy';
  const chains = fixedChains(options);
  return [
    `add table ${table} { comment "rules for kube-proxy" ; }`,
    ...setsAndMaps(options).map((definition) => `add ${definition.replace('TABLE', table)}`),
    ...nodePortIPs(options, table),
    ...chains.map(({ name, hook }) =>
      hook ? `add chain ${table} ${name} { ${hook} ; }` : `add chain ${table} ${name}`,
    ),
    ...chains.flatMap(({ name, rules }) =>
      rules.map((rule) => `add rule ${table} ${name} ${rule}`),
    ),
  ];
}

function setsAndMaps({ family }: TableOptions): string[] {
  const address = family === 4 ? 'ipv4_addr' : 'ipv6_addr';
  const port = 'inet_proto . inet_service';
  const map = (name: string, key: string, text: string) =>
    `map TABLE ${name} { type ${key} : verdict ; comment "${text}" ; }`;
  return [
    `set TABLE cluster-ips { type ${address} ; comment "Active ClusterIPs" ; }`,
    `set TABLE nodeport-ips { type ${address} ; comment "IPs that accept NodePort traffic" ; }`,
    `set TABLE hairpin-connections { type ${address} . ${address} . ${port} ; comment "local endpoints that may reach themselves" ; }`,
    map('service-ips', `${address} . ${port}`, 'ClusterIP, ExternalIP and LoadBalancer IP traffic'),
    map('service-nodeports', port, 'NodePort traffic'),
    map(
      'no-endpoint-services',
      `${address} . ${port}`,
      'drops or rejects for services without endpoints',
    ),
    map('no-endpoint-nodeports', port, 'drops or rejects for node ports without endpoints'),
    map('firewall-ips', `${address} . ${port}`, 'destinations subject to LoadBalancerSourceRanges'),
  ];
}

function nodePortIPs({ nodePortIPs: ips = [] }: TableOptions, table: string): string[] {
  return ips.length === 0 ? [] : [`add element ${table} nodeport-ips { ${ips.join(', ')} }`];
}

function fixedChains(options: TableOptions): FixedChain[] {
  const ip = options.family === 4 ? 'ip' : 'ip6';
  const filter = (hook: string, priority: string) =>
    `type filter hook ${hook} priority ${priority}`;
  const nat = (hook: string, priority: string) => `type nat hook ${hook} priority ${priority}`;
  const fresh = (chain: string) => `ct state new jump ${chain}`;
  const target = `${ip} daddr . meta l4proto . th dport`;
  const onNode = nodePortMatch(options, ip);
  // Pods can be told by address only where there is a mark to set for all others.
  return [
    {
      name: 'filter-prerouting-pre-dnat',
      hook: filter('prerouting', '-110'),
      rules: [fresh('firewall-check')],
    },
    {
      name: 'filter-output-pre-dnat',
      hook: filter('output', '-110'),
      rules: [fresh('firewall-check')],
    },
    {
      name: 'filter-input',
      hook: filter('input', '0'),
      rules: [fresh('nodeport-endpoints-check'), fresh('service-endpoints-check')],
    },
    {
      name: 'filter-forward',
      hook: filter('forward', '0'),
      rules: [fresh('service-endpoints-check'), fresh('cluster-ips-check')],
    },
    {
      name: 'filter-output',
      hook: filter('output', '0'),
      rules: [fresh('service-endpoints-check'), fresh('cluster-ips-check')],
    },
    { name: 'nat-prerouting', hook: nat('prerouting', '-100'), rules: ['jump services'] },
    { name: 'nat-output', hook: nat('output', '-100'), rules: ['jump services'] },
    { name: 'nat-postrouting', hook: nat('postrouting', '100'), rules: ['jump masquerading'] },
    {
      name: 'services',
      rules: [
        ...masqueradeClusterIPs(options, ip),
        `${target} vmap @service-ips`,
        `${onNode} meta l4proto . th dport vmap @service-nodeports`,
      ],
    },
    { name: 'reject-chain', rules: ['reject'] },
    { name: 'firewall-check', rules: [`${target} vmap @firewall-ips`] },
    { name: 'service-endpoints-check', rules: [`${target} vmap @no-endpoint-services`] },
    {
      name: 'nodeport-endpoints-check',
      rules: [`${onNode} meta l4proto . th dport vmap @no-endpoint-nodeports`],
    },
    {
      name: 'cluster-ips-check',
      rules: [
        `${ip} daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"`,
      ],
    },
    { name: 'masquerading', rules: masquerading(options, ip) },
  ];
}

function nodePortMatch({ family, nodePortIPs: ips }: TableOptions, ip: string): string {
  if (ips) return `${ip} daddr @nodeport-ips`;
  const loopback = family === 4 ? '127.0.0.0/8' : '::1';
  return `fib daddr type local ${ip} daddr != ${loopback}`;
}

function masqueradeClusterIPs(options: TableOptions, ip: 'ip' | 'ip6'): string[] {
  const act = `mark set mark or ${options.mark}`;
  if (options.masqueradeAll) return [`${ip} daddr @cluster-ips ${act}`];
  const foreign = matchPods(options.localTraffic, ip, false);
  return foreign ? [`${ip} daddr @cluster-ips ${foreign} ${act}`] : [];
}

function masquerading({ mark }: TableOptions, ip: string): string[] {
  const pair = `${ip} saddr . ${ip} daddr . meta l4proto . th dport @hairpin-connections`;
  return [
    `mark and ${mark} != 0 mark set mark xor ${mark} masquerade fully-random`,
    `ct status dnat ${pair} masquerade fully-random`,
  ];
}
