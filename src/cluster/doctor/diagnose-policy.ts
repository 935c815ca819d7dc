import { BlockList, isIPv6 } from 'node:net';
import { selects } from '../../api/labels.ts';
import type { Namespace, NetworkPolicy, Pod } from '../../api/types.ts';
import { bad, type Finding, good } from './findings.ts';

/** All that counts for whether a connection is let through. */
export interface PolicyFacts {
  /** Pods behind the Service that are ready. */
  readonly targets: readonly Pod[];
  /** Of all namespaces. */
  readonly policies: readonly NetworkPolicy[];
  readonly namespaces: readonly Namespace[];
  /** The Pod that cannot connect, where it was named. */
  readonly from?: Pod | undefined;
  readonly port: TargetPort;
}

/** Where a target is connected to. */
export interface TargetPort {
  readonly number: number;
  readonly name?: string | undefined;
  readonly protocol: string;
}

type Spec = NonNullable<NetworkPolicy['spec']>;
type Ingress = NonNullable<Spec['ingress']>[number];
type Peer = NonNullable<Ingress['from']>[number];
type Direction = 'Ingress' | 'Egress';

/** A rule of either direction: what is at the other end. */
interface Rule {
  readonly peers: readonly Peer[];
  readonly ports: Ingress['ports'];
}

/** Says which policies hold a connection back, if any do. Pure. */
export function policyFinding(facts: PolicyFacts): Finding {
  const { targets, from, port } = facts;
  for (const target of targets) {
    const where = `port ${port.number} of ${target.metadata.name}`;
    const inward = isolating(facts, target, 'Ingress');
    if (!areOpen(inward, 'Ingress', from, facts)) {
      const whom = from === undefined ? 'nobody in' : `${from.metadata.name} not in`;
      return refused(inward, `let ${whom} to ${where}`);
    }
    if (from === undefined) continue;
    const outward = isolating(facts, from, 'Egress');
    if (!areOpen(outward, 'Egress', target, facts)) {
      return refused(outward, `let ${from.metadata.name} not out to ${where}`);
    }
  }
  const names = new Set(targets.flatMap((one) => namesOf(isolating(facts, one, 'Ingress'))));
  if (names.size === 0) return good('policy', 'no NetworkPolicy holds anybody back');
  const whom = from ? from.metadata.name : 'some, and only those';
  return good('policy', `${[...names].join(', ')} let in ${whom}`);
}

function refused(policies: readonly NetworkPolicy[], what: string): Finding {
  const [first] = policies;
  const next = `kubectl -n ${first?.metadata.namespace} describe networkpolicy ${first?.metadata.name}`;
  return bad('policy', `NetworkPolicies ${namesOf(policies).join(', ')} ${what}`, next);
}

const namesOf = (policies: readonly NetworkPolicy[]) =>
  policies.map(({ metadata }) => metadata.name);

/** The policies without which a Pod would be open. */
function isolating({ policies }: PolicyFacts, pod: Pod, direction: Direction): NetworkPolicy[] {
  return policies.filter(({ metadata, spec }) => {
    const types = spec?.policyTypes ?? ['Ingress', ...(spec?.egress ? ['Egress'] : [])];
    return (
      metadata.namespace === pod.metadata.namespace &&
      types.includes(direction) &&
      selects(spec?.podSelector, pod.metadata.labels)
    );
  });
}

/** Whether these policies let a Pod through or, where none is named, anybody at all. */
function areOpen(
  policies: readonly NetworkPolicy[],
  direction: Direction,
  other: Pod | undefined,
  facts: PolicyFacts,
): boolean {
  if (policies.length === 0) return true;
  const rules = policies
    .flatMap((policy) => rulesOf(policy, direction).map((rule) => ({ ...rule, policy })))
    .filter(({ ports }) => hasPort(ports, facts.port));
  if (other === undefined) return rules.length > 0;
  return rules.some(
    ({ peers, policy }) =>
      peers.length === 0 || peers.some((peer) => isPeer(peer, { other, policy, facts })),
  );
}

function rulesOf({ spec }: NetworkPolicy, direction: Direction): Rule[] {
  return direction === 'Ingress'
    ? (spec?.ingress ?? []).map((rule) => ({ peers: rule.from ?? [], ports: rule.ports }))
    : (spec?.egress ?? []).map((rule) => ({ peers: rule.to ?? [], ports: rule.ports }));
}

function hasPort(ports: Rule['ports'], wanted: TargetPort): boolean {
  if (!ports || ports.length === 0) return true;
  return ports.some(({ protocol = 'TCP', port, endPort }) => {
    if (protocol !== wanted.protocol) return false;
    if (port === undefined) return true;
    if (typeof port === 'string') return port === wanted.name;
    return wanted.number >= port && wanted.number <= (endPort ?? port);
  });
}

function isPeer(
  { podSelector, namespaceSelector, ipBlock }: Peer,
  { other, policy, facts }: { other: Pod; policy: NetworkPolicy; facts: PolicyFacts },
): boolean {
  if (ipBlock) {
    const address = other.status?.podIP ?? '';
    return (
      holds(ipBlock.cidr, address) && !(ipBlock.except ?? []).some((one) => holds(one, address))
    );
  }
  const { namespace, labels } = other.metadata;
  const home = facts.namespaces.find(({ metadata }) => metadata.name === namespace);
  const isThere = namespaceSelector
    ? selects(namespaceSelector, home?.metadata.labels)
    : namespace === policy.metadata.namespace;
  return isThere && (podSelector === undefined || selects(podSelector, labels));
}

function holds(cidr: string, address: string): boolean {
  const [network = '', bits = ''] = cidr.split('/');
  if (address === '' || isIPv6(network) !== isIPv6(address)) return false;
  const family = isIPv6(address) ? 'ipv6' : 'ipv4';
  const list = new BlockList();
  list.addSubnet(network, Number(bits), family);
  return list.check(address, family);
}
