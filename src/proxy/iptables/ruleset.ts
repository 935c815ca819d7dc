import type { Jump } from '../iptables-input.ts';
import { changedIds, type ServicePort } from '../model.ts';
import { isServiceChain } from './chains.ts';
import { type RuleOptions, renderService, type ServiceRules } from './service-rules.ts';

export interface RulesetOptions extends RuleOptions {
  readonly family: 4 | 6;
  readonly randomFully: boolean;
  /** The bit that says: masquerade this packet, as `0x4000`. */
  readonly mark: string;
  /** Node ports answer on 127.0.0.1 as well (IPv4 only; needs route_localnet). */
  readonly localhostNodePorts: boolean;
  /** Node ports answer only on these addresses; undefined: on every address of the node. */
  readonly nodePortIPs: readonly string[] | undefined;
  /** conntrack takes odd TCP packets as they are (nf_conntrack_tcp_be_liberal). */
  readonly tcpLiberal: boolean;
}

const PORTALS = '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES';
const NEW = '-m conntrack --ctstate NEW';
const NEW_PORTALS = `${NEW} ${PORTALS}`;
const EXTERNAL = `${NEW} -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES`;
const LB_FIREWALL = `${NEW} -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL`;

/** Upstream's jumps. Each is put at the head of its chain, so within a chain the last one listed comes first. */
export const JUMPS: readonly Jump[] = [
  { table: 'filter', from: 'INPUT', rule: EXTERNAL },
  { table: 'filter', from: 'FORWARD', rule: EXTERNAL },
  {
    table: 'filter',
    from: 'INPUT',
    rule: '-m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS',
  },
  { table: 'filter', from: 'FORWARD', rule: NEW_PORTALS },
  { table: 'filter', from: 'OUTPUT', rule: NEW_PORTALS },
  {
    table: 'filter',
    from: 'FORWARD',
    rule: '-m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
  },
  { table: 'filter', from: 'INPUT', rule: LB_FIREWALL },
  { table: 'filter', from: 'OUTPUT', rule: LB_FIREWALL },
  { table: 'filter', from: 'FORWARD', rule: LB_FIREWALL },
  { table: 'filter', from: 'INPUT', rule: '-j KUBE-FIREWALL' },
  { table: 'filter', from: 'OUTPUT', rule: '-j KUBE-FIREWALL' },
  { table: 'nat', from: 'OUTPUT', rule: PORTALS },
  { table: 'nat', from: 'PREROUTING', rule: PORTALS },
  {
    table: 'nat',
    from: 'POSTROUTING',
    rule: '-m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
  },
];

/** The chains that all services share, in the order in which they are written. */
const SHARED = {
  filter: [
    'KUBE-SERVICES',
    'KUBE-EXTERNAL-SERVICES',
    'KUBE-FORWARD',
    'KUBE-NODEPORTS',
    'KUBE-PROXY-FIREWALL',
    'KUBE-FIREWALL',
  ],
  nat: ['KUBE-SERVICES', 'KUBE-NODEPORTS', 'KUBE-POSTROUTING', 'KUBE-MARK-MASQ'],
} as const;

const SHARED_CHAINS: Readonly<Record<string, readonly string[]>> = SHARED;

/** Chains that this mode makes, in this or an earlier version. */
export function isOurs(table: string, chain: string): boolean {
  if (table === 'nat' && isServiceChain(chain)) return true;
  return SHARED_CHAINS[table]?.includes(chain) ?? false;
}

type SharedPart = Exclude<keyof ServiceRules, 'chains'>;

/** Which part of each service's rules a shared chain collects. */
const COLLECTED: Record<SharedPart, { table: 'filter' | 'nat'; chain: string }> = {
  natServices: { table: 'nat', chain: 'KUBE-SERVICES' },
  natNodePorts: { table: 'nat', chain: 'KUBE-NODEPORTS' },
  filterServices: { table: 'filter', chain: 'KUBE-SERVICES' },
  filterExternal: { table: 'filter', chain: 'KUBE-EXTERNAL-SERVICES' },
  filterNodePorts: { table: 'filter', chain: 'KUBE-NODEPORTS' },
  filterFirewall: { table: 'filter', chain: 'KUBE-PROXY-FIREWALL' },
};
const PARTS = Object.keys(COLLECTED) as SharedPart[];

/** Chains to write anew and chains to delete. Keys of `write`: `TABLE CHAIN`. */
export interface RulesetChange {
  readonly write: Map<string, readonly string[]>;
  /** Chains of the nat table. */
  readonly remove: string[];
}

/**
 * The rules of all services. `update` renders only services that are new objects and answers which chains
 * differ from the last call. Pure but for what it remembers: of services the objects and their lines in shared chains, not
 * their own chains, which would take most of the memory and can be rendered again.
 */
export class Ruleset {
  readonly #options: RulesetOptions;
  #services = new Map<string, ServicePort>();
  readonly #lines = new Map<string, SharedLines>();

  constructor(options: RulesetOptions) {
    this.#options = options;
  }

  /** Begins with these services; what was there before is forgotten. */
  load(services: ReadonlyMap<string, ServicePort>): void {
    this.#lines.clear();
    for (const [id, service] of services) {
      this.#lines.set(id, linesOf(renderService(service, this.#options)));
    }
    this.#services = new Map(services);
  }

  /** `changed`: service ports that may differ from the last call; all of them without it. */
  update(services: ReadonlyMap<string, ServicePort>, changed?: ReadonlySet<string>): RulesetChange {
    const write = new Map<string, readonly string[]>();
    const remove: string[] = [];
    const dirty = new Set<SharedPart>();
    for (const id of changedIds(this.#services, { services, changed })) {
      const [before, service] = [this.#services.get(id), services.get(id)];
      if (before === service) continue;
      const after = service && renderService(service, this.#options);
      if (service) this.#services.set(id, service);
      else this.#services.delete(id);
      if (after) this.#lines.set(id, linesOf(after));
      else this.#lines.delete(id);
      compare(before && renderService(before, this.#options), after, { write, remove, dirty });
    }
    for (const part of dirty) {
      const { table, chain } = COLLECTED[part];
      write.set(`${table} ${chain}`, this.#collect(part));
    }
    return { write, remove };
  }

  /** The chains that all services share, with their rules, by `TABLE CHAIN`. */
  shared(): Map<string, readonly string[]> {
    const chains = new Map<string, readonly string[]>();
    const fixed = fixedChains(this.#options);
    for (const table of ['filter', 'nat'] as const) {
      for (const chain of SHARED[table]) chains.set(`${table} ${chain}`, fixed.get(chain) ?? []);
    }
    for (const part of PARTS) {
      const { table, chain } = COLLECTED[part];
      chains.set(`${table} ${chain}`, this.#collect(part));
    }
    return chains;
  }

  /** The chains of `count` services at a time. */
  *byServices(count: number): Generator<Map<string, readonly string[]>> {
    let chains = new Map<string, readonly string[]>();
    let services = 0;
    for (const service of this.#services.values()) {
      const rules = renderService(service, this.#options);
      for (const [chain, lines] of rules.chains) chains.set(`nat ${chain}`, lines);
      services = (services + 1) % count;
      if (services > 0) continue;
      yield chains;
      chains = new Map();
    }
    if (chains.size > 0) yield chains;
  }

  /** Every chain that should exist, with its rules, by `TABLE CHAIN`. */
  all(): Map<string, readonly string[]> {
    return new Map([...this.shared(), ...[...this.byServices(Infinity)].flatMap((m) => [...m])]);
  }

  #collect(part: SharedPart): string[] {
    const lines: string[] = [];
    for (const own of this.#lines.values()) lines.push(...(own[part] ?? []));
    if (part === 'natServices') lines.push(...nodePortJumps(this.#options));
    return lines;
  }
}

/** What one service port adds to shared chains. */
type SharedLines = Partial<Pick<ServiceRules, SharedPart>>;

function linesOf(rules: ServiceRules): SharedLines {
  const parts = PARTS.filter((part) => rules[part].length > 0);
  return Object.fromEntries(parts.map((part) => [part, rules[part]]));
}

interface Difference {
  write: Map<string, readonly string[]>;
  remove: string[];
  dirty: Set<SharedPart>;
}

const NOTHING: ServiceRules = {
  natServices: [],
  natNodePorts: [],
  filterServices: [],
  filterExternal: [],
  filterNodePorts: [],
  filterFirewall: [],
  chains: new Map(),
};

function compare(before = NOTHING, after = NOTHING, into: Difference): void {
  for (const part of PARTS) {
    if (!sameLines(before[part], after[part])) into.dirty.add(part);
  }
  for (const [chain, lines] of after.chains) {
    const old = before.chains.get(chain);
    if (!old || !sameLines(old, lines)) into.write.set(`nat ${chain}`, lines);
  }
  for (const chain of before.chains.keys()) {
    if (!after.chains.has(chain)) into.remove.push(chain);
  }
}

function sameLines(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((line, index) => line === b[index]);
}

/** The chains whose rules depend on no service. */
function fixedChains(options: RulesetOptions): Map<string, string[]> {
  const { mark } = options;
  const random = options.randomFully ? ' --random-fully' : '';
  const invalid = options.tcpLiberal ? [] : ['-m conntrack --ctstate INVALID -j DROP'];
  const established = '-m conntrack --ctstate RELATED,ESTABLISHED';
  return new Map([
    ['KUBE-MARK-MASQ', [`-j MARK --or-mark ${mark}`]],
    [
      'KUBE-POSTROUTING',
      [
        `-m mark ! --mark ${mark}/${mark} -j RETURN`,
        `-j MARK --xor-mark ${mark}`,
        `-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE${random}`,
      ],
    ],
    [
      'KUBE-FORWARD',
      [
        ...invalid,
        `-m comment --comment "kubernetes forwarding rules" -m mark --mark ${mark}/${mark} -j ACCEPT`,
        `-m comment --comment "kubernetes forwarding conntrack rule" ${established} -j ACCEPT`,
      ],
    ],
    ['KUBE-FIREWALL', localnetFirewall(options)],
  ]);
}

/** With route_localnet on, neighbours could reach the node's own 127.0.0.1 (CVE-2020-8558). */
function localnetFirewall({ family, localhostNodePorts }: RulesetOptions): string[] {
  if (family === 6 || !localhostNodePorts) return [];
  const why = '-m comment --comment "block incoming localnet connections"';
  const foreign = '! -s 127.0.0.0/8 -d 127.0.0.0/8';
  return [`${why} ${foreign} -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP`];
}

/** The last rules of nat KUBE-SERVICES: what is left and meant for this node may be meant for a node port. */
function nodePortJumps({ family, localhostNodePorts, nodePortIPs }: RulesetOptions): string[] {
  const why =
    '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"';
  if (nodePortIPs) return nodePortIPs.map((ip) => `${why} -d ${ip} -j KUBE-NODEPORTS`);
  const notLoopback =
    family === 6 ? ' ! -d ::1/128' : localhostNodePorts ? '' : ' ! -d 127.0.0.0/8';
  return [`${why} -m addrtype --dst-type LOCAL${notLoopback} -j KUBE-NODEPORTS`];
}
