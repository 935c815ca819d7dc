import type { Jump, WholeRules } from '../iptables-input.ts';
import type { LocalTraffic } from '../local-traffic.ts';
import type { IpFamily } from '../model.ts';
import { kernelName, type SetName } from './sets.ts';

export interface RuleOptions {
  readonly family: IpFamily;
  readonly mark: string;
  readonly masqueradeAll: boolean;
  readonly randomFully: boolean;
  readonly tcpLiberal: boolean;
  readonly localTraffic: LocalTraffic;
}

/** All chains of this mode; none of them depends on a Service. */
const CHAINS: Readonly<Record<string, readonly string[]>> = {
  nat: [
    'KUBE-SERVICES',
    'KUBE-POSTROUTING',
    'KUBE-NODE-PORT',
    'KUBE-LOAD-BALANCER',
    'KUBE-MARK-MASQ',
  ],
  filter: [
    'KUBE-FORWARD',
    'KUBE-NODE-PORT',
    'KUBE-PROXY-FIREWALL',
    'KUBE-SOURCE-RANGES-FIREWALL',
    'KUBE-IPVS-FILTER',
    'KUBE-IPVS-OUT-FILTER',
  ],
};

const JUMPS: readonly Jump[] = [
  jump('nat', 'OUTPUT', 'KUBE-SERVICES', 'kubernetes service portals'),
  jump('nat', 'PREROUTING', 'KUBE-SERVICES', 'kubernetes service portals'),
  jump('nat', 'POSTROUTING', 'KUBE-POSTROUTING', 'kubernetes postrouting rules'),
  jump('filter', 'FORWARD', 'KUBE-FORWARD', 'kubernetes forwarding rules'),
  jump('filter', 'INPUT', 'KUBE-NODE-PORT', 'kubernetes health check rules'),
  jump('filter', 'INPUT', 'KUBE-IPVS-FILTER', 'kubernetes ipvs access filter'),
  jump('filter', 'INPUT', 'KUBE-PROXY-FIREWALL', 'kube-proxy firewall rules'),
  jump('filter', 'FORWARD', 'KUBE-PROXY-FIREWALL', 'kube-proxy firewall rules'),
  jump('filter', 'OUTPUT', 'KUBE-IPVS-OUT-FILTER', 'kubernetes ipvs access filter'),
];

function jump(table: Jump['table'], from: string, to: string, why: string): Jump {
  return { table, from, rule: `${comment(why)} -j ${to}` };
}

function comment(text: string): string {
  return `-m comment --comment "${text}"`;
}

export function isOurs(table: string, chain: string): boolean {
  return CHAINS[table]?.includes(chain) ?? false;
}

/** The few rules beside the virtual servers: who is masqueraded, who is turned away. Pure. */
export function wholeRules(options: RuleOptions): WholeRules {
  const chains = new Map<string, string[]>();
  const rules: Record<string, string[]> = {
    'nat KUBE-SERVICES': servicesChain(options),
    'nat KUBE-NODE-PORT': nodePortChain(options),
    'nat KUBE-LOAD-BALANCER': [
      `${inSet(options, 'KUBE-LOAD-BALANCER-LOCAL', 'dst,dst')} -j RETURN`,
      '-j KUBE-MARK-MASQ',
    ],
    'nat KUBE-MARK-MASQ': [`-j MARK --or-mark ${options.mark}`],
    'nat KUBE-POSTROUTING': postroutingChain(options),
    ...filterChains(options),
  };
  for (const [table, names] of Object.entries(CHAINS)) {
    for (const name of names) chains.set(`${table} ${name}`, rules[`${table} ${name}`] ?? []);
  }
  return { chains, jumps: JUMPS };
}

function inSet({ family }: RuleOptions, set: SetName, directions: string): string {
  return `-m set --match-set ${kernelName(set, family)} ${directions}`;
}

function servicesChain(options: RuleOptions): string[] {
  const match = (set: SetName) => inSet(options, set, 'dst,dst');
  const foreign = foreignSources(options);
  const clusterIPs = match('KUBE-CLUSTER-IP');
  return [
    `${match('KUBE-LOAD-BALANCER')} -j KUBE-LOAD-BALANCER`,
    ...(foreign === undefined ? [] : [`${clusterIPs}${foreign} -j KUBE-MARK-MASQ`]),
    `${match('KUBE-EXTERNAL-IP')} -j KUBE-MARK-MASQ`,
    `${match('KUBE-EXTERNAL-IP')} -j ACCEPT`,
    `${match('KUBE-EXTERNAL-IP-LOCAL')} -j ACCEPT`,
    '-m addrtype --dst-type LOCAL -j KUBE-NODE-PORT',
    `${clusterIPs} -j ACCEPT`,
    `${match('KUBE-LOAD-BALANCER')} -j ACCEPT`,
  ];
}

/** Matches what is not from this node's Pods; undefined when they cannot be told. */
function foreignSources({ masqueradeAll, localTraffic }: RuleOptions): string | undefined {
  if (masqueradeAll) return '';
  switch (localTraffic.by) {
    case 'none':
      return undefined;
    case 'cidr':
      return ` ! -s ${localTraffic.cidrs[0]}`;
    case 'interface':
      return ` ! -i ${localTraffic.name}`;
    case 'interface-prefix':
      return ` ! -i ${localTraffic.prefix}+`;
  }
}

function nodePortChain(options: RuleOptions): string[] {
  return (['TCP', 'UDP', 'SCTP'] as const).flatMap((name) => {
    const suffix = name === 'SCTP' ? ('SCTP-HASH' as const) : name;
    const directions = name === 'SCTP' ? 'dst,dst' : 'dst';
    const match = (set: SetName) => `-p ${name.toLowerCase()} ${inSet(options, set, directions)}`;
    return [
      `${match(`KUBE-NODE-PORT-LOCAL-${suffix}`)} -j RETURN`,
      `${match(`KUBE-NODE-PORT-${suffix}`)} -j KUBE-MARK-MASQ`,
    ];
  });
}

function postroutingChain(options: RuleOptions): string[] {
  const { mark } = options;
  const random = options.randomFully ? ' --random-fully' : '';
  return [
    `${inSet(options, 'KUBE-LOOP-BACK', 'dst,dst,src')} -j MASQUERADE`,
    `-m mark ! --mark ${mark}/${mark} -j RETURN`,
    `-j MARK --xor-mark ${mark}`,
    `${comment('kubernetes service traffic requiring SNAT')} -j MASQUERADE${random}`,
  ];
}

/** Whose packets go on to the virtual servers, which are behind the filter on the way in. */
const SERVED: readonly (readonly [SetName, string])[] = [
  ['KUBE-LOAD-BALANCER', 'dst,dst'],
  ['KUBE-CLUSTER-IP', 'dst,dst'],
  ['KUBE-EXTERNAL-IP', 'dst,dst'],
  ['KUBE-EXTERNAL-IP-LOCAL', 'dst,dst'],
  ['KUBE-HEALTH-CHECK-NODE-PORT', 'dst'],
];

function filterChains(options: RuleOptions): Record<string, string[]> {
  const { mark } = options;
  const invalid = options.tcpLiberal ? [] : ['-m conntrack --ctstate INVALID -j DROP'];
  const match = (set: SetName, directions: string) => inSet(options, set, directions);
  const served = SERVED.map(([set, directions]) => {
    const tcp = directions === 'dst' ? '-p tcp ' : '';
    return `${tcp}${match(set, directions)} -j RETURN`;
  });
  const refuse = `-m conntrack --ctstate NEW ${match('KUBE-IPVS-IPS', 'dst')} -j REJECT`;
  return {
    'filter KUBE-FORWARD': [
      ...invalid,
      `${comment('kubernetes forwarding rules')} -m mark --mark ${mark}/${mark} -j ACCEPT`,
      `${comment('kubernetes forwarding conntrack rule')} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
    ],
    'filter KUBE-NODE-PORT': [
      `${comment('Kubernetes health check node port')} -p tcp ${match('KUBE-HEALTH-CHECK-NODE-PORT', 'dst')} -j ACCEPT`,
    ],
    'filter KUBE-PROXY-FIREWALL': [
      `${match('KUBE-LOAD-BALANCER-FW', 'dst,dst')} -j KUBE-SOURCE-RANGES-FIREWALL`,
    ],
    'filter KUBE-SOURCE-RANGES-FIREWALL': [
      `${match('KUBE-LOAD-BALANCER-SOURCE-CIDR', 'dst,dst,src')} -j RETURN`,
      `${match('KUBE-LOAD-BALANCER-SOURCE-IP', 'dst,dst,src')} -j RETURN`,
      '-j DROP',
    ],
    'filter KUBE-IPVS-FILTER': [...served, refuse],
    'filter KUBE-IPVS-OUT-FILTER': [...served, refuse],
  };
}
