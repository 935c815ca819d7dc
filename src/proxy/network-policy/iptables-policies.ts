import type { Iptables } from '../../host/iptables.ts';
import { type Family, familyOf } from '../../util/ip.ts';
import { shortHash } from '../hash.ts';
import type { Allowance, Direction, Isolation, PortSpan } from './isolation.ts';
import type { PolicyBackend } from './policy-backend.ts';

/** Passed by every forwarded packet before `filter`, in which others accept packets for good. */
const TABLE = 'mangle';
const PREFIX = 'K8TS-NP';
const TOP = PREFIX;
const DISPATCH: Readonly<Record<Direction, string>> = {
  Egress: `${PREFIX}-EGRESS`,
  Ingress: `${PREFIX}-INGRESS`,
};
const COMMENT = '-m comment --comment "k8ts network policies"';
const JUMPS = [
  `FORWARD ${COMMENT} -j ${TOP}`,
  // IPVS sends on from here what others forward. What the node itself says is never held back.
  `OUTPUT -m addrtype ! --src-type LOCAL ${COMMENT} -j ${TOP}`,
];
/** How many ports one `multiport` match takes; a range counts twice. */
const MULTIPORT = 15;

type Chains = ReadonlyMap<string, readonly string[]>;

/** Policies as iptables chains of one family. Only chains that changed are written. */
export class IptablesPolicies implements PolicyBackend {
  readonly #iptables: Iptables;
  readonly #family: Family;
  #applied: Chains = new Map();

  constructor(iptables: Iptables, family: Family) {
    this.#iptables = iptables;
    this.#family = family;
  }

  async sync(
    isolations: readonly Isolation[],
    { full }: { full: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const wanted = policyChains(isolations, this.#family);
    const saved = full ? await this.#iptables.save(TABLE, signal) : undefined;
    const input = restoreInput(saved === undefined ? this.#applied : inKernel(saved), wanted);
    const missing = JUMPS.filter((jump) => saved?.includes(`-A ${jump}\n`) === false);
    const jumps = missing.map((jump) => `-I ${jump}\n`).join('');
    if (input + jumps === '') return;
    await this.#iptables.restore(`*${TABLE}\n${input}${jumps}COMMIT\n`, signal);
    this.#applied = wanted;
  }

  async intact(signal: AbortSignal): Promise<boolean> {
    // A flush empties chains and leaves them there.
    const saved = await this.#iptables.save(TABLE, signal);
    return [...JUMPS, `${TOP} `].every((rule) => saved.includes(`-A ${rule}`));
  }

  async cleanup(signal: AbortSignal): Promise<void> {
    const saved = await this.#iptables.save(TABLE, signal);
    const there = JUMPS.filter((jump) => saved.includes(`-A ${jump}\n`));
    const jumps = there.map((jump) => `-D ${jump}\n`).join('');
    const input = restoreInput(inKernel(saved), new Map());
    this.#applied = new Map();
    if (input === '') return;
    await this.#iptables.restore(`*${TABLE}\n${jumps}${input}COMMIT\n`, signal);
  }
}

/** Chain → its rules, without `-A CHAIN`. Pure. */
export function policyChains(isolations: readonly Isolation[], family: Family): Chains {
  const chains = new Map<string, string[]>();
  const dispatch: Record<Direction, string[]> = { Egress: [], Ingress: [] };
  for (const { direction, targets, allowances } of isolations) {
    const own = targets.filter((ip) => familyOf(ip) === family);
    if (own.length === 0) continue;
    const chain = `${PREFIX}-${direction.charAt(0)}-${shortHash(JSON.stringify(allowances), 14)}`;
    const rules = allowances.flatMap((allowance) => allowRules(direction, allowance, family));
    chains.set(chain, [...rules, '-j DROP']);
    for (const ip of own) dispatch[direction].push(dispatchRule(direction, ip, chain));
  }
  for (const direction of ['Egress', 'Ingress'] as const) {
    chains.set(DISPATCH[direction], dispatch[direction]);
  }
  chains.set(TOP, [
    '-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN',
    ...(family === 6 ? ['135', '136'].map(neighbourRule) : []),
    // What one direction lets through returns here, and the other still judges it.
    `-j ${DISPATCH.Egress}`,
    `-j ${DISPATCH.Ingress}`,
  ]);
  return chains;
}

function neighbourRule(type: string): string {
  return `-p ipv6-icmp -m icmp6 --icmpv6-type ${type} -j RETURN`;
}

/** A Pod may always talk to itself. */
function dispatchRule(direction: Direction, ip: string, chain: string): string {
  const [own, other] = direction === 'Ingress' ? ['-d', '-s'] : ['-s', '-d'];
  return `${own} ${ip} ! ${other} ${ip} -j ${chain}`;
}

function allowRules(direction: Direction, { peers, ports }: Allowance, family: Family): string[] {
  const side = direction === 'Ingress' ? '-s' : '-d';
  const who = peers
    ? peers.filter((cidr) => familyOf(cidr) === family).map((cidr) => `${side} ${cidr} `)
    : [''];
  return who.flatMap((peer) => portMatches(ports).map((port) => `${peer}${port}-j RETURN`));
}

function portMatches(ports: readonly PortSpan[] | undefined): string[] {
  if (!ports) return [''];
  return (['TCP', 'UDP', 'SCTP'] as const).flatMap((protocol) => {
    const own = ports.filter((span) => span.protocol === protocol);
    if (own.length === 0) return [];
    const name = protocol.toLowerCase();
    if (own.some(({ from }) => from === undefined)) return [`-p ${name} `];
    return inPortions(own).map((list) => `-p ${name} -m multiport --dports ${list} `);
  });
}

/** Lists as `multiport` wants them: `80,443,8000:8080`. */
function inPortions(spans: readonly PortSpan[]): string[] {
  const portions: string[][] = [];
  let room = 0;
  for (const { from, to } of spans) {
    const size = from === to ? 1 : 2;
    if (size > room) {
      portions.push([]);
      room = MULTIPORT;
    }
    room -= size;
    portions.at(-1)?.push(from === to ? `${from}` : `${from}:${to}`);
  }
  return portions.map((portion) => portion.join(','));
}

/** The chains of ours that `iptables-save` shows. Their rules are not compared: they are written again. */
function inKernel(saved: string): Chains {
  const names = saved.split('\n').flatMap((line) => /^:(K8TS-NP\S*) /.exec(line)?.[1] ?? []);
  return new Map(names.map((name) => [name, ['not known']]));
}

/** Lines for `iptables-restore --noflush` that turn what is there into what is wanted. Empty where nothing differs. */
export function restoreInput(before: Chains, wanted: Chains): string {
  const changed = [...wanted].filter(
    ([name, rules]) => before.get(name)?.join('\n') !== rules.join('\n'),
  );
  const gone = [...before.keys()].filter((name) => !wanted.has(name));
  const heads = [...changed.map(([name]) => name), ...gone].map((name) => `:${name} - [0:0]`);
  const rules = changed.flatMap(([name, lines]) => lines.map((line) => `-A ${name} ${line}`));
  return [...heads, ...rules, ...gone.map((name) => `-X ${name}`)]
    .map((line) => `${line}\n`)
    .join('');
}
