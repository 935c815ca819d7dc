import type { Fate, Packet } from '../packets.fake.ts';

export type Chains = ReadonlyMap<string, readonly string[]>;

export interface TracerFacts {
  readonly nodeIPs: readonly string[];
  /** Entry chains by table and hook, as `nat PREROUTING`. */
  readonly jumps: ReadonlyMap<string, readonly string[]>;
}

/** Walks rendered rules as the kernel would, taking every branch of chance. */
export function tracePacket(chains: Chains, packet: Packet, facts: TracerFacts): Fate {
  const walk = new Walk(chains, packet, facts);
  walk.enter('nat', packet.hook, false);
  const translated = walk.endpoints.size > 0;
  const hook = packet.hook === 'PREROUTING' ? forwardOrInput(packet, facts) : packet.hook;
  const verdict = translated ? 'ACCEPT' : walk.filter(hook);
  return { endpoints: [...walk.endpoints].sort(), masquerade: walk.masquerade, verdict };
}

function forwardOrInput(packet: Packet, { nodeIPs }: TracerFacts) {
  return nodeIPs.includes(packet.destination) ? 'INPUT' : 'FORWARD';
}

class Walk {
  readonly endpoints = new Set<string>();
  masquerade = false;
  readonly #chains: Chains;
  readonly #packet: Packet;
  readonly #facts: TracerFacts;

  constructor(chains: Chains, packet: Packet, facts: TracerFacts) {
    this.#chains = chains;
    this.#packet = packet;
    this.#facts = facts;
  }

  /** True when the packet ended in there: translated on every branch that it could take. */
  enter(table: 'nat', chain: string, marked: boolean): boolean {
    let mark = marked;
    for (const rule of this.#rules(table, chain)) {
      if (!this.#matches(rule)) continue;
      const target = / -j (\S+)/.exec(` ${rule}`)?.[1];
      const chance = rule.includes('-m statistic') || rule.includes('--rcheck');
      if (target === 'KUBE-MARK-MASQ') mark = true;
      else if (target === 'DNAT') {
        this.endpoints.add(/--to-destination (\S+)/.exec(rule)?.[1] ?? '');
        this.masquerade ||= mark;
        return true;
      } else if (target?.startsWith('KUBE-') && this.enter(table, target, mark) && !chance)
        return true;
    }
    return false;
  }

  filter(chain: string): Fate['verdict'] {
    for (const rule of this.#rules('filter', chain)) {
      if (!this.#matches(rule)) continue;
      const target = / -j (\S+)/.exec(` ${rule}`)?.[1];
      if (target === 'REJECT' || target === 'DROP') return target;
      if (target?.startsWith('KUBE-')) {
        const verdict = this.filter(target);
        if (verdict !== 'ACCEPT') return verdict;
      }
    }
    return 'ACCEPT';
  }

  #rules(table: string, chain: string): readonly string[] {
    return (
      this.#chains.get(`${table} ${chain}`) ?? this.#facts.jumps.get(`${table} ${chain}`) ?? []
    );
  }

  #matches(rule: string): boolean {
    const text = ` ${rule.replace(/--comment "[^"]*"/g, '')}`;
    // Nothing here is invalid, nor marked before it came.
    if (text.includes('INVALID') || text.includes('--mark')) return false;
    const value = (flag: string) => new RegExp(` ${flag} (\\S+)`).exec(text)?.[1];
    return this.#sourceMatches(text, value) && this.#destinationMatches(text, value);
  }

  #sourceMatches(text: string, value: (flag: string) => string | undefined): boolean {
    const { source } = this.#packet;
    const wanted = value('-s');
    if (wanted !== undefined && within(wanted, source) === text.includes('! -s')) return false;
    return value('--src-type') !== 'LOCAL' || this.#facts.nodeIPs.includes(source);
  }

  #destinationMatches(text: string, value: (flag: string) => string | undefined): boolean {
    const { destination, protocol, port } = this.#packet;
    const wanted = value('-d');
    if (wanted !== undefined && within(wanted, destination) === text.includes('! -d')) return false;
    if (value('--dst-type') === 'LOCAL' && !this.#facts.nodeIPs.includes(destination)) return false;
    return (value('-p') ?? protocol) === protocol && Number(value('--dport') ?? port) === port;
  }
}

/** Good enough for the /8, /16, /24 and /32 of IPv4 tests. */
function within(cidr: string, ip: string): boolean {
  const [network = '', bits = '32'] = cidr.split('/');
  const octets = Number(bits) / 8;
  return network.split('.').slice(0, octets).join('.') === ip.split('.').slice(0, octets).join('.');
}
