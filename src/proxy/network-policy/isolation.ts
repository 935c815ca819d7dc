import { selects } from '../../api/labels.ts';
import { isPodTerminal } from '../../api/pods.ts';
import type { Namespace, NetworkPolicy, Pod } from '../../api/types.ts';
import { mergeCidrs, subtractCidrs } from './cidrs.ts';

export type Direction = 'Ingress' | 'Egress';
type Protocol = 'TCP' | 'UDP' | 'SCTP';

/** Ports of a protocol, both ends included. Without ends: all of them. */
export interface PortSpan {
  readonly protocol: Protocol;
  readonly from?: number;
  readonly to?: number;
}

/** What is let through: to or from these addresses, on these ports. An absent list restricts nothing. */
export interface Allowance {
  /** Addresses and CIDRs of both families, none within another, sorted. */
  readonly peers?: readonly string[];
  readonly ports?: readonly PortSpan[];
}

/** Pods of this node that may talk in one direction only as their policies allow. */
export interface Isolation {
  readonly direction: Direction;
  /** Addresses of the Pods, of both families. */
  readonly targets: readonly string[];
  readonly allowances: readonly Allowance[];
}

export interface PolicyWorld {
  readonly policies: readonly NetworkPolicy[];
  /** All of the cluster's: anyone may be a peer. */
  readonly pods: readonly Pod[];
  readonly namespaces: readonly Namespace[];
  readonly nodeName: string;
}

type Rule = { ports?: RulePort[] | undefined; peers?: Peer[] | undefined };
type IngressRule = NonNullable<NonNullable<NetworkPolicy['spec']>['ingress']>[number];
type Peer = NonNullable<IngressRule['from']>[number];
type RulePort = NonNullable<IngressRule['ports']>[number];

/**
 * What the NetworkPolicies ask of one node. A Pod that no policy selects for a direction is not isolated in it; one that
 * several select may do what any of them allows. Pods with equal rules share an entry. Pure.
 * https://kubernetes.io/docs/concepts/services-networking/network-policies/
 */
export function isolations(world: PolicyWorld): Isolation[] {
  const peers = new PeerFinder(world);
  const shared = new Map<string, Isolation & { targets: string[] }>();
  for (const { pod, ips } of localPods(world)) {
    for (const direction of ['Ingress', 'Egress'] as const) {
      const selecting = world.policies.filter((policy) => applies(policy, direction, pod));
      if (selecting.length === 0) continue;
      const allowances = allowancesFor(pod, direction, { selecting, peers });
      const key = direction + JSON.stringify(allowances);
      const entry = shared.get(key) ?? { direction, targets: [], allowances };
      entry.targets.push(...ips);
      shared.set(key, entry);
    }
  }
  for (const { targets } of shared.values()) targets.sort();
  return [...shared.values()];
}

/** Each address belongs to one Pod: a new one may have that of one which is still being deleted. */
function localPods({ pods, nodeName }: PolicyWorld): { pod: Pod; ips: string[] }[] {
  const taken = new Set<string>();
  const leaving = (pod: Pod) => Number(pod.metadata.deletionTimestamp !== undefined);
  return pods
    .filter((pod) => pod.spec?.nodeName === nodeName)
    .sort((a, b) => leaving(a) - leaving(b))
    .map((pod) => {
      const ips = ipsOf(pod).filter((ip) => !taken.has(ip));
      for (const ip of ips) taken.add(ip);
      return { pod, ips };
    })
    .filter(({ ips }) => ips.length > 0);
}

function applies({ metadata, spec }: NetworkPolicy, direction: Direction, pod: Pod): boolean {
  if (metadata.namespace !== pod.metadata.namespace) return false;
  if (!typesOf(spec).includes(direction)) return false;
  return selects(spec?.podSelector ?? {}, pod.metadata.labels);
}

/** As the API server would default it: egress only where there is a rule for it. */
function typesOf(spec: NetworkPolicy['spec']): readonly string[] {
  if (spec?.policyTypes && spec.policyTypes.length > 0) return spec.policyTypes;
  return (spec?.egress?.length ?? 0) > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
}

function allowancesFor(
  pod: Pod,
  direction: Direction,
  { selecting, peers }: { selecting: readonly NetworkPolicy[]; peers: PeerFinder },
): Allowance[] {
  const found = selecting.flatMap((policy) =>
    rulesOf(policy, direction).flatMap((rule) =>
      direction === 'Ingress'
        ? ingressAllowance(rule, { pod, policy, peers })
        : egressAllowances(rule, policy, peers),
    ),
  );
  // Nothing is narrower than a rule without peers and ports.
  const open = found.find(({ peers: who, ports }) => !who && !ports);
  if (open) return [open];
  const distinct = new Map(found.map((allowance) => [JSON.stringify(allowance), allowance]));
  return [...distinct].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, allowance]) => allowance);
}

function rulesOf({ spec }: NetworkPolicy, direction: Direction): Rule[] {
  if (direction === 'Ingress') {
    return (spec?.ingress ?? []).map(({ ports, from }) => ({ ports, peers: from }));
  }
  return (spec?.egress ?? []).map(({ ports, to }) => ({ ports, peers: to }));
}

/** A named port is one of the Pod that is asked: the isolated one. */
function ingressAllowance(
  rule: Rule,
  { pod, policy, peers }: { pod: Pod; policy: NetworkPolicy; peers: PeerFinder },
): Allowance[] {
  const named = namedPorts(rule).flatMap(({ name, protocol }) =>
    portsNamed(pod, name, protocol).map((port) => ({ protocol, from: port, to: port })),
  );
  return allowance(
    peers.addresses(rule.peers, policy),
    isEmpty(rule.ports) ? undefined : [...numberedPorts(rule), ...named],
  );
}

/** A named port is one of the Pod that is asked: each peer has its own. */
function egressAllowances(rule: Rule, policy: NetworkPolicy, peers: PeerFinder): Allowance[] {
  const spans = isEmpty(rule.ports) ? undefined : numberedPorts(rule);
  const byPort = new Map<string, { span: PortSpan; ips: string[] }>();
  for (const { name, protocol } of namedPorts(rule)) {
    for (const peer of peers.pods(rule.peers, policy)) {
      for (const port of portsNamed(peer, name, protocol)) {
        const span = { protocol, from: port, to: port };
        const entry = byPort.get(`${protocol} ${port}`) ?? { span, ips: [] };
        entry.ips.push(...ipsOf(peer));
        byPort.set(`${protocol} ${port}`, entry);
      }
    }
  }
  return [
    ...allowance(peers.addresses(rule.peers, policy), spans),
    ...[...byPort.values()].flatMap(({ span, ips }) => allowance(mergeCidrs(ips), [span])),
  ];
}

/** None where a list is there and empty: what nobody matches lets nothing through. */
function allowance(
  peers: readonly string[] | undefined,
  ports: PortSpan[] | undefined,
): Allowance[] {
  if (peers?.length === 0 || ports?.length === 0) return [];
  return [
    {
      ...(peers ? { peers } : {}),
      ...(ports ? { ports: mergeSpans(ports) } : {}),
    },
  ];
}

function numberedPorts({ ports = [] }: Rule): PortSpan[] {
  return ports.flatMap(({ protocol, port, endPort }) => {
    const which = { protocol: protocolOf(protocol) };
    if (port === undefined) return [which];
    if (typeof port !== 'number') return [];
    return [{ ...which, from: port, to: endPort ?? port }];
  });
}

function namedPorts({ ports = [] }: Rule): { name: string; protocol: Protocol }[] {
  return ports.flatMap(({ port, protocol }) =>
    typeof port === 'string' ? [{ name: port, protocol: protocolOf(protocol) }] : [],
  );
}

function protocolOf(protocol: string | undefined): Protocol {
  return (protocol ?? 'TCP') as Protocol;
}

/** Spans of one protocol that touch become one. */
function mergeSpans(spans: readonly PortSpan[]): PortSpan[] {
  const merged: PortSpan[] = [];
  for (const protocol of ['TCP', 'UDP', 'SCTP'] as const) {
    const own = spans.filter((span) => span.protocol === protocol);
    if (own.some(({ from }) => from === undefined)) {
      merged.push({ protocol });
      continue;
    }
    const sorted = own
      .map(({ from = 0, to = 0 }) => ({ from, to }))
      .sort((a, b) => a.from - b.from);
    const joined: { from: number; to: number }[] = [];
    for (const { from, to } of sorted) {
      const last = joined.at(-1);
      if (last && from <= last.to + 1) last.to = Math.max(last.to, to);
      else joined.push({ from, to });
    }
    merged.push(...joined.map((span) => ({ protocol, ...span })));
  }
  return merged;
}

/** Finds out who the peers of a rule are. */
class PeerFinder {
  readonly #pods = new Map<string, Pod[]>();
  readonly #namespaces: readonly Namespace[];
  /** By the list of peers in its policy: several Pods of the node ask for the same one. */
  readonly #known = new Map<readonly Peer[], string[]>();

  constructor({ pods, namespaces }: PolicyWorld) {
    this.#namespaces = namespaces;
    for (const pod of pods) {
      if (ipsOf(pod).length === 0) continue;
      const { namespace } = pod.metadata;
      const inNamespace = this.#pods.get(namespace);
      if (inNamespace) inNamespace.push(pod);
      else this.#pods.set(namespace, [pod]);
    }
  }

  /** None within another, sorted. Undefined: everybody. */
  addresses(peers: Peer[] | undefined, { metadata }: NetworkPolicy): string[] | undefined {
    if (isEmpty(peers)) return undefined;
    const known = this.#known.get(peers);
    if (known) return known;
    const found = mergeCidrs(
      peers.flatMap((peer) =>
        peer.ipBlock
          ? subtractCidrs(peer.ipBlock.cidr, peer.ipBlock.except ?? [])
          : this.#matching(peer, metadata.namespace).flatMap(ipsOf),
      ),
    );
    this.#known.set(peers, found);
    return found;
  }

  /** The Pods among the peers; addresses outside have no named ports. */
  pods(peers: Peer[] | undefined, { metadata }: NetworkPolicy): Pod[] {
    if (isEmpty(peers)) return [...this.#pods.values()].flat();
    return peers.flatMap((peer) => (peer.ipBlock ? [] : this.#matching(peer, metadata.namespace)));
  }

  #matching({ namespaceSelector, podSelector }: Peer, own: string): Pod[] {
    const names = namespaceSelector
      ? this.#namespaces
          .filter(({ metadata }) => selects(namespaceSelector, metadata.labels))
          .map(({ metadata }) => metadata.name)
      : [own];
    return names
      .flatMap((name) => this.#pods.get(name) ?? [])
      .filter(({ metadata }) => selects(podSelector ?? {}, metadata.labels));
  }
}

/** The addresses by which policies know a Pod: none for one that has the node's network, or has ended. */
export function ipsOf(pod: Pod): string[] {
  if (pod.spec?.hostNetwork || isPodTerminal(pod)) return [];
  const ips = (pod.status?.podIPs ?? []).flatMap(({ ip }) => ip ?? []);
  return ips.length > 0 ? ips : [pod.status?.podIP ?? ''].filter(Boolean);
}

function portsNamed({ spec }: Pod, name: string, protocol: Protocol): number[] {
  const sidecars = (spec?.initContainers ?? []).filter((c) => c.restartPolicy === 'Always');
  return [...(spec?.containers ?? []), ...sidecars].flatMap(({ ports = [] }) =>
    ports
      .filter((port) => port.name === name && protocolOf(port.protocol) === protocol)
      .map(({ containerPort }) => containerPort),
  );
}

function isEmpty<T>(list: readonly T[] | undefined): list is undefined {
  return list === undefined || list.length === 0;
}
