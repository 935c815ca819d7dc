import { BlockList } from 'node:net';
import { ADDRESSES, CLIENT_IP, type PodName } from './network-world.ts';

type Labels = Record<string, string>;
export interface Peer {
  podSelector?: { matchLabels: Labels };
  namespaceSelector?: { matchLabels: Labels };
  ipBlock?: { cidr: string; except?: string[] };
}
export interface PolicyPort {
  port?: number | string;
  endPort?: number;
  protocol?: string;
}
export interface Rule {
  from?: Peer[];
  to?: Peer[];
  ports?: PolicyPort[];
}
export interface Policy {
  namespace: string;
  podSelector: { matchLabels?: Labels };
  policyTypes: ('Ingress' | 'Egress')[];
  ingress?: Rule[];
  egress?: Rule[];
}

export type End = PodName | 'client';
/** The named ports of the world's Pods. */
const PORTS: Readonly<Record<string, number>> = { echo: 8080, more: 9090 };

/** Whether policies let a connection through, by the words of the API: slow, plain, and written for nothing but tests. */
export function allows(
  policies: readonly Policy[],
  [from, to, port]: readonly [End, End, number],
): boolean {
  if (from === to) return true;
  const out = policies.filter((p) => p.policyTypes.includes('Egress') && selects(p, from));
  const into = policies.filter((p) => p.policyTypes.includes('Ingress') && selects(p, to));
  const egress = out.flatMap((p) => (p.egress ?? []).map((rule) => ({ p, rule, peers: rule.to })));
  const ingress = into.flatMap((p) =>
    (p.ingress ?? []).map((rule) => ({ p, rule, peers: rule.from })),
  );
  const open = (rules: typeof egress, peer: End) =>
    rules.some(({ p, rule, peers }) => {
      const isPeer = !peers?.length || peers.some((one) => matches(one, peer, p.namespace));
      return isPeer && (!rule.ports?.length || rule.ports.some((one) => isPort(one, port)));
    });
  return (out.length === 0 || open(egress, to)) && (into.length === 0 || open(ingress, from));
}

/** Only of Pods of the node that enforces. */
function selects({ namespace, podSelector }: Policy, end: End): boolean {
  if (end === 'client' || ADDRESSES[end].node !== 'node-a') return false;
  return namespace === namespaceOf(end) && has({ app: end }, podSelector.matchLabels);
}

function matches(
  { ipBlock, namespaceSelector, podSelector }: Peer,
  end: End,
  own: string,
): boolean {
  if (ipBlock) {
    const ip = end === 'client' ? CLIENT_IP : ADDRESSES[end].ip;
    const excepted = (ipBlock.except ?? []).some((cidr) => contains(cidr, ip));
    return contains(ipBlock.cidr, ip) && !excepted;
  }
  if (end === 'client') return false;
  const namespace = namespaceOf(end);
  const inNamespace = namespaceSelector
    ? has({ team: namespace }, namespaceSelector.matchLabels)
    : namespace === own;
  return inNamespace && has({ app: end }, podSelector?.matchLabels);
}

const namespaceOf = (pod: PodName) => (pod === 'pod4' ? 'other' : 'default');
const has = (labels: Labels, wanted: Labels = {}) =>
  Object.entries(wanted).every(([key, value]) => labels[key] === value);

function contains(cidr: string, ip: string): boolean {
  const [address = '', bits = '32'] = cidr.split('/');
  const list = new BlockList();
  list.addSubnet(address, Number(bits));
  return list.check(ip);
}

function isPort({ port, endPort, protocol = 'TCP' }: PolicyPort, asked: number): boolean {
  if (protocol !== 'TCP') return false;
  if (port === undefined) return true;
  const first = typeof port === 'string' ? PORTS[port] : port;
  return first !== undefined && asked >= first && asked <= (endPort ?? first);
}

/** Policies of all forms, the same ones for the same number. */
export function randomPolicies(seed: number): Policy[] {
  let state = seed * 2_654_435_761 + 1;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 16) % below;
  };
  const some = <T>(values: readonly T[]): T => values[random(values.length)] as T;
  const selector = () => some([{}, {}, { matchLabels: { app: some(PODS) } }]);
  const rules = (side: 'from' | 'to') =>
    Array.from({ length: random(3) }, (): Rule => {
      const peers = Array.from({ length: random(3) }, () => structuredClone(some(PEERS)));
      const ports = Array.from({ length: random(3) }, () => some(POLICY_PORTS));
      return { [side]: peers, ports };
    });
  return Array.from({ length: 3 }, () => ({
    namespace: some(['default', 'default', 'other']),
    podSelector: selector(),
    policyTypes: some([['Ingress'], ['Egress'], ['Ingress', 'Egress']] as const).slice(),
    ingress: rules('from'),
    egress: rules('to'),
  }));
}

const PODS = ['pod1', 'pod2', 'pod3'];
const PEERS: readonly Peer[] = [
  { podSelector: { matchLabels: {} } },
  { podSelector: { matchLabels: { app: 'pod2' } } },
  { podSelector: { matchLabels: { app: 'pod3' } } },
  { namespaceSelector: { matchLabels: {} } },
  { namespaceSelector: { matchLabels: { team: 'other' } } },
  {
    namespaceSelector: { matchLabels: { team: 'default' } },
    podSelector: { matchLabels: { app: 'pod1' } },
  },
  { ipBlock: { cidr: '192.0.2.0/24' } },
  { ipBlock: { cidr: '10.244.0.0/16', except: [`${ADDRESSES.pod2.ip}/32`, '10.244.1.0/24'] } },
  { ipBlock: { cidr: '0.0.0.0/0', except: ['10.244.0.8/29'] } },
];
const POLICY_PORTS: readonly PolicyPort[] = [
  { port: 8080 },
  { port: 'more' },
  { port: 'echo', protocol: 'TCP' },
  { port: 8000, endPort: 9000 },
  { port: 8080, protocol: 'UDP' },
  { protocol: 'TCP' },
];
