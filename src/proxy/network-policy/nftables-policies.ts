import type { Nft } from '../../host/nft.ts';
import { familyOf } from '../../util/ip.ts';
import { shortHash } from '../hash.ts';
import type { Allowance, Direction, Isolation } from './isolation.ts';
import type { PolicyBackend } from './policy-backend.ts';

const TABLE = 'inet k8ts-network-policy';
/** A verdict ends a base chain only, not the hook: what one direction accepts the other still judges. */
const BASE_CHAINS: Readonly<
  Record<Direction, { name: string; priority: string; address: string }>
> = {
  Egress: { name: 'egress', priority: 'filter - 2', address: 'saddr' },
  Ingress: { name: 'ingress', priority: 'filter - 1', address: 'daddr' },
};
const FAMILIES = [
  { family: 4, keyword: 'ip', type: 'ipv4_addr' },
  { family: 6, keyword: 'ip6', type: 'ipv6_addr' },
] as const;

/** Policies as one nftables table for both families, written anew at every change, in one transaction. */
export class NftablesPolicies implements PolicyBackend {
  readonly #nft: Nft;
  #applied: string | undefined;

  constructor(nft: Nft) {
    this.#nft = nft;
  }

  async sync(
    isolations: readonly Isolation[],
    { full }: { full: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const wanted = nftablesInput(isolations);
    if (wanted === this.#applied && !full) return;
    this.#applied = undefined;
    await this.#nft.transaction(wanted, signal);
    this.#applied = wanted;
  }

  async intact(signal: AbortSignal): Promise<boolean> {
    return (await this.#nft.listChain(TABLE, BASE_CHAINS.Ingress.name, signal)) !== undefined;
  }

  async cleanup(signal: AbortSignal): Promise<void> {
    this.#applied = undefined;
    await this.#nft.transaction(removal(), signal);
  }
}

/** Input for `nft -f` that puts the whole table in place of the old one. Pure. */
export function nftablesInput(isolations: readonly Isolation[]): string {
  const groups = isolations.map((isolation) => ({ isolation, chain: chainName(isolation) }));
  const lines = [
    ...groups.flatMap(({ isolation, chain }) => [
      `  chain ${chain} {`,
      ...isolation.allowances.flatMap((allowance) => acceptRules(isolation.direction, allowance)),
      '    drop',
      '  }',
    ]),
    ...(['Egress', 'Ingress'] as const).flatMap((direction) => baseChain(direction, groups)),
  ];
  return `${removal()}table ${TABLE} {\n${lines.join('\n')}\n}\n`;
}

/** Adding first makes the deletion succeed where there is no table. */
function removal(): string {
  return `add table ${TABLE}\ndelete table ${TABLE}\n`;
}

function chainName({ direction, allowances }: Isolation): string {
  return `${direction.toLowerCase()}-${shortHash(JSON.stringify(allowances), 16)}`;
}

/** Answers, and what an allowed connection causes, pass; neighbours are found; a Pod may always talk to itself. */
function baseChain(
  direction: Direction,
  groups: readonly { isolation: Isolation; chain: string }[],
): string[] {
  const { name, priority, address } = BASE_CHAINS[direction];
  const own = groups.filter(({ isolation }) => isolation.direction === direction);
  const dispatch = FAMILIES.flatMap(({ family, keyword }) => {
    const targets = own.flatMap(({ isolation, chain }) =>
      isolation.targets.filter((ip) => familyOf(ip) === family).map((ip) => ({ ip, chain })),
    );
    if (targets.length === 0) return [];
    const selves = targets.map(({ ip }) => `${ip} . ${ip}`).join(', ');
    const jumps = targets.map(({ ip, chain }) => `${ip} : goto ${chain}`).join(', ');
    return [
      `    ${keyword} saddr . ${keyword} daddr { ${selves} } accept`,
      `    ${keyword} ${address} vmap { ${jumps} }`,
    ];
  });
  return [
    `  chain ${name} {`,
    `    type filter hook forward priority ${priority}; policy accept;`,
    '    ct state established,related accept',
    '    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept',
    ...dispatch,
    '  }',
  ];
}

function acceptRules(direction: Direction, { peers, ports }: Allowance): string[] {
  const side = direction === 'Ingress' ? 'saddr' : 'daddr';
  const who = peers
    ? FAMILIES.flatMap(({ family, keyword }) => {
        const own = peers.filter((cidr) => familyOf(cidr) === family);
        return own.length > 0 ? [`${keyword} ${side} { ${own.join(', ')} } `] : [];
      })
    : [''];
  return who.flatMap((peer) => portMatches(ports).map((port) => `    ${peer}${port}accept`));
}

function portMatches(ports: Allowance['ports']): string[] {
  if (!ports) return [''];
  return (['TCP', 'UDP', 'SCTP'] as const).flatMap((protocol) => {
    const own = ports.filter((span) => span.protocol === protocol);
    if (own.length === 0) return [];
    const name = protocol.toLowerCase();
    if (own.some(({ from }) => from === undefined)) return [`meta l4proto ${name} `];
    const spans = own.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`));
    return [`${name} dport { ${spans.join(', ')} } `];
  });
}
