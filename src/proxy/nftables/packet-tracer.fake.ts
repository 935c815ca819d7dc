import { cidrContains } from '../../util/ip.ts';
import type { Fate, Packet } from '../packets.fake.ts';

/** What `nft` would hold after a transaction: rules by chain, entries of sets and maps (with their verdicts) by name. */
export interface Table {
  readonly chains: ReadonlyMap<string, readonly string[]>;
  readonly sets: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

/** Reads the commands of a transaction that makes a whole table. */
export function tableOf(commands: Iterable<string>): Table {
  const chains = new Map<string, string[]>();
  const sets = new Map<string, Map<string, string>>();
  for (const command of commands) {
    const [, what = '', name = '', rest = ''] =
      /^add (rule|element) ip6? kube-proxy (\S+) (.*)$/.exec(command) ?? [];
    if (what === 'rule') chains.set(name, [...(chains.get(name) ?? []), rest]);
    else if (what === 'element') {
      const [key = '', verdict = ''] = rest.replace(/^\{ | \}$/g, '').split(' : ');
      sets.set(name, (sets.get(name) ?? new Map<string, string>()).set(key, verdict));
    }
  }
  return { chains, sets };
}

/** The chains of each hook that a new packet meets before its route is known, and after. */
const HOOKS = {
  PREROUTING: ['filter-prerouting-pre-dnat', 'nat-prerouting'],
  OUTPUT: ['filter-output-pre-dnat', 'nat-output'],
} as const;

/** Walks rendered rules as the kernel would, taking every branch of chance. */
export function tracePacket(table: Table, packet: Packet, nodeIPs: readonly string[]): Fate {
  const walk = new Walk(table, packet, nodeIPs);
  const routed = nodeIPs.includes(packet.destination) ? 'filter-input' : 'filter-forward';
  const last = packet.hook === 'OUTPUT' ? 'filter-output' : routed;
  for (const chain of [...HOOKS[packet.hook], last]) {
    if (walk.verdict !== 'ACCEPT' || walk.endpoints.size > 0) break;
    walk.enter(chain, false);
  }
  const { endpoints, masquerade, verdict } = walk;
  return { endpoints: [...endpoints].sort(), masquerade, verdict };
}

/** One expression or statement at the head of a rule. */
type Part = readonly [RegExp, (found: RegExpExecArray, state: RuleState) => boolean];

interface RuleState {
  mark: boolean;
  /** The rule holds by chance or for some clients only: what follows it may happen as well. */
  chance: boolean;
  /** The packet goes no further in this chain, nor in one that jumped here. */
  ended: boolean;
  /** It goes no further in this chain. */
  left: boolean;
}

class Walk {
  readonly endpoints = new Set<string>();
  masquerade = false;
  verdict: Fate['verdict'] = 'ACCEPT';
  readonly #table: Table;
  readonly #packet: Packet;
  readonly #parts: readonly Part[];

  constructor(table: Table, packet: Packet, nodeIPs: readonly string[]) {
    this.#table = table;
    this.#packet = packet;
    this.#parts = [...this.#matches(nodeIPs), ...this.#statements()];
  }

  /** True when the packet ended in there: on every branch that it could take. */
  enter(chain: string, marked: boolean): boolean {
    const state: RuleState = { mark: marked, chance: false, ended: false, left: false };
    for (const rule of this.#table.chains.get(chain) ?? []) {
      Object.assign(state, { chance: false, ended: false, left: false });
      this.#follow(rule, state);
      if ((state.ended || state.left) && !state.chance) return state.ended;
    }
    return false;
  }

  #follow(rule: string, state: RuleState): void {
    let rest = rule.replace(/ ?comment "[^"]*"$/, '');
    while (rest !== '') {
      const [part, found] = this.#partAt(rest);
      if (!part[1](found, state)) return;
      rest = rest.slice(found[0].length).trimStart();
    }
  }

  #partAt(rest: string): [Part, RegExpExecArray] {
    for (const part of this.#parts) {
      const found = part[0].exec(rest);
      if (found) return [part, found];
    }
    throw new Error(`The tracer does not know: ${rest}`);
  }

  /** Expressions: whether the packet is meant. Every packet here is the first of its connection. */
  #matches(nodeIPs: readonly string[]): Part[] {
    const { source, destination, protocol, port } = this.#packet;
    const keys: Readonly<Record<string, string>> = {
      'ip daddr . meta l4proto . th dport': `${destination} . ${protocol} . ${port}`,
      'meta l4proto . th dport': `${protocol} . ${port}`,
    };
    return [
      [/^ct state new\b/, () => true],
      [
        /^(ip daddr \. meta l4proto \. th dport|meta l4proto \. th dport) vmap @(\S+)/,
        ([, key = '', map = ''], state) => {
          const verdict = this.#table.sets.get(map)?.get(keys[key] ?? '');
          if (verdict !== undefined) this.#follow(verdict, state);
          return false;
        },
      ],
      [/^ip daddr @(\S+)/, ([, set = '']) => this.#table.sets.get(set)?.has(destination) ?? false],
      [
        /^ip saddr @affinity-\S+/,
        (_found, state) => {
          state.chance = true;
          return true;
        },
      ],
      [
        /^ip saddr (!= )?(?:\{ ([^}]*) \}|([\d./]+))/,
        ([, not, list, one = '']) => {
          const within = (list ?? one).split(', ').some((cidr) => contains(cidr, source));
          return within !== (not !== undefined);
        },
      ],
      [/^fib saddr type local/, () => nodeIPs.includes(source)],
      [/^meta l4proto (tcp|udp|sctp)/, ([, wanted]) => wanted === protocol],
      [
        /^numgen random mod \d+ == \d+/,
        (_found, state) => {
          state.chance = true;
          return true;
        },
      ],
    ];
  }

  /** Statements: what becomes of it. */
  #statements(): Part[] {
    const ends = (verdict: Fate['verdict']) => (_found: unknown, state: RuleState) => {
      this.verdict = verdict;
      state.ended = true;
      return false;
    };
    return [
      [/^mark set mark or \S+/, (_found, state) => (state.mark = true)],
      [/^update @\S+ \{ ip saddr \}/, () => true],
      [
        /^(jump|goto) (\S+)/,
        ([, verb, chain = ''], state) => {
          state.ended = this.enter(chain, state.mark);
          state.left = verb === 'goto';
          return false;
        },
      ],
      [
        /^dnat to (\S+)/,
        ([, endpoint = ''], state) => {
          this.endpoints.add(endpoint);
          this.masquerade ||= state.mark;
          state.ended = true;
          return false;
        },
      ],
      [/^reject\b/, ends('REJECT')],
      [/^drop\b/, ends('DROP')],
    ];
  }
}

function contains(cidr: string, ip: string): boolean {
  return cidr.includes('/') ? cidrContains(cidr, ip) : cidr === ip;
}
