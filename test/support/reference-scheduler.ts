import { parseQuantity } from '../../src/api/quantity.ts';
import type { LabelSelector, Node, Pod } from '../../src/api/types.ts';

/** A cluster as plain lists; Pods with spec.nodeName are on that node. */
export interface ReferenceCluster {
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
}

type Labels = Readonly<Record<string, string>>;

/**
 * The rules of scheduling, written the slow and obvious way from the documentation: every question looks at every
 * Pod and node again. Knows nothing of the scheduler's own code.
 */
export function feasibleNodes(cluster: ReferenceCluster, pod: Pod): string[] {
  return cluster.nodes.filter((node) => fits(cluster, pod, node)).map((node) => node.metadata.name);
}

export function fits(cluster: ReferenceCluster, pod: Pod, node: Node): boolean {
  return (
    hasRoom(cluster, pod, node) &&
    tolerated(pod, node) &&
    selected(pod, node) &&
    portsFree(cluster, pod, node) &&
    affinityHolds(cluster, pod, node) &&
    antiAffinityHolds(cluster, pod, node) &&
    spreadHolds(cluster, pod, node)
  );
}

/** Rules that hold whatever else is on its way: fewer Pods than one has counted on break none of them. */
export function brokenRules(cluster: ReferenceCluster, pod: Pod, node: Node): string[] {
  const rules = {
    room: hasRoom(cluster, pod, node),
    taints: tolerated(pod, node),
    'node affinity': selected(pod, node),
    ports: portsFree(cluster, pod, node),
    'anti-affinity': antiAffinityHolds(cluster, pod, node),
  };
  return Object.entries(rules).flatMap(([rule, holds]) => (holds ? [] : [rule]));
}

export function podsOn(cluster: ReferenceCluster, node: Node): Pod[] {
  return cluster.pods.filter((pod) => pod.spec?.nodeName === node.metadata.name);
}

function asked(pod: Pod, resource: string): number {
  return (pod.spec?.containers ?? []).reduce((sum, container) => {
    const text = container.resources?.requests?.[resource];
    return sum + (text === undefined ? 0 : Number(parseQuantity(text).nanos));
  }, 0);
}

function hasRoom(cluster: ReferenceCluster, pod: Pod, node: Node): boolean {
  const others = podsOn(cluster, node);
  const allocatable = node.status?.allocatable ?? {};
  if (others.length + 1 > Number(allocatable.pods ?? 0)) return false;
  return ['cpu', 'memory'].every((resource) => {
    const want = asked(pod, resource);
    if (want === 0) return true;
    const used = others.reduce((sum, other) => sum + asked(other, resource), 0);
    return want + used <= Number(parseQuantity(allocatable[resource] ?? '0').nanos);
  });
}

function tolerated(pod: Pod, node: Node): boolean {
  const cordon = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };
  const taints = [...(node.spec?.taints ?? []), ...(node.spec?.unschedulable ? [cordon] : [])];
  return taints
    .filter((taint) => taint.effect !== 'PreferNoSchedule')
    .every((taint) =>
      (pod.spec?.tolerations ?? []).some((toleration) => tolerates(toleration, taint)),
    );
}

type Taint = NonNullable<NonNullable<Node['spec']>['taints']>[number];
type Toleration = NonNullable<NonNullable<Pod['spec']>['tolerations']>[number];

export function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.operator === 'Exists') return !toleration.key || toleration.key === taint.key;
  return toleration.key === taint.key && (toleration.value ?? '') === (taint.value ?? '');
}

export function selected(pod: Pod, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  const wanted = Object.entries(pod.spec?.nodeSelector ?? {});
  if (!wanted.every(([key, value]) => labels[key] === value)) return false;
  const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (!required) return true;
  return required.nodeSelectorTerms.some((term) =>
    (term.matchExpressions ?? []).every((e) => expressionHolds(e, labels)),
  );
}

export function expressionHolds(
  { key, operator, values = [] }: { key: string; operator: string; values?: string[] | undefined },
  labels: Labels,
): boolean {
  const value = labels[key];
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      throw new Error(`The reference does not know ${operator}`);
  }
}

export function selects(selector: LabelSelector | undefined, labels: Labels): boolean {
  if (!selector) return false;
  return (
    Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
    (selector.matchExpressions ?? []).every((e) => expressionHolds(e, labels))
  );
}

function hostPorts(pod: Pod): { ip: string; slot: string }[] {
  return (pod.spec?.containers ?? []).flatMap((container) =>
    (container.ports ?? [])
      .filter((port) => port.hostPort)
      .map((port) => ({
        ip: port.hostIP || '0.0.0.0',
        slot: `${port.protocol ?? 'TCP'}/${port.hostPort}`,
      })),
  );
}

function portsFree(cluster: ReferenceCluster, pod: Pod, node: Node): boolean {
  const taken = podsOn(cluster, node).flatMap(hostPorts);
  return hostPorts(pod).every(({ ip, slot }) =>
    taken.every(
      (other) =>
        other.slot !== slot || (other.ip !== ip && other.ip !== '0.0.0.0' && ip !== '0.0.0.0'),
    ),
  );
}

type Term = {
  labelSelector?: LabelSelector | undefined;
  namespaces?: string[] | undefined;
  topologyKey: string;
};

export function termSelects(term: Term, owner: Pod, other: Pod): boolean {
  const namespaces = term.namespaces?.length ? term.namespaces : [owner.metadata.namespace];
  return (
    namespaces.includes(other.metadata.namespace) &&
    selects(term.labelSelector, other.metadata.labels ?? {})
  );
}

/** Pods whose node shares the topology domain of `node`. */
function neighbours(cluster: ReferenceCluster, node: Node, topologyKey: string): Pod[] {
  const domain = node.metadata.labels?.[topologyKey];
  if (domain === undefined) return [];
  return cluster.pods.filter((pod) => {
    const home = cluster.nodes.find((n) => n.metadata.name === pod.spec?.nodeName);
    return home?.metadata.labels?.[topologyKey] === domain;
  });
}

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution';

function affinityHolds(cluster: ReferenceCluster, pod: Pod, node: Node): boolean {
  const terms = pod.spec?.affinity?.podAffinity?.[REQUIRED] ?? [];
  if (terms.length === 0) return true;
  if (terms.some((term) => node.metadata.labels?.[term.topologyKey] === undefined)) return false;
  const meetsAll = (other: Pod) => terms.every((term) => termSelects(term, pod, other));
  const held = terms.every((term) => neighbours(cluster, node, term.topologyKey).some(meetsAll));
  if (held) return true;
  // The first of a group: nobody anywhere (in a domain of the terms) meets them, but the Pod itself does.
  const nobody = terms.every((term) =>
    cluster.nodes.every((n) => !neighbours(cluster, n, term.topologyKey).some(meetsAll)),
  );
  return nobody && meetsAll(pod);
}

function antiAffinityHolds(cluster: ReferenceCluster, pod: Pod, node: Node): boolean {
  const own = pod.spec?.affinity?.podAntiAffinity?.[REQUIRED] ?? [];
  const disliked = own.some((term) =>
    neighbours(cluster, node, term.topologyKey).some((other) => termSelects(term, pod, other)),
  );
  const disliking = cluster.pods.some((other) =>
    (other.spec?.affinity?.podAntiAffinity?.[REQUIRED] ?? []).some(
      (term) =>
        termSelects(term, other, pod) &&
        neighbours(cluster, node, term.topologyKey).includes(other),
    ),
  );
  return !disliked && !disliking;
}

function spreadHolds(cluster: ReferenceCluster, pod: Pod, node: Node): boolean {
  const constraints = (pod.spec?.topologySpreadConstraints ?? []).filter(
    (constraint) => constraint.whenUnsatisfiable === 'DoNotSchedule',
  );
  // Only nodes that have every key and that the Pod's node affinity selects take part.
  const eligible = cluster.nodes.filter(
    (n) =>
      selected(pod, n) &&
      constraints.every(({ topologyKey }) => n.metadata.labels?.[topologyKey] !== undefined),
  );
  return constraints.every(({ topologyKey, maxSkew, labelSelector, minDomains = 1 }) => {
    const domain = node.metadata.labels?.[topologyKey];
    if (domain === undefined) return false;
    const counts = new Map<string, number>();
    for (const n of eligible) {
      const value = n.metadata.labels?.[topologyKey] ?? '';
      const matching = podsOn(cluster, n).filter(
        (other) =>
          other.metadata.namespace === pod.metadata.namespace &&
          selects(labelSelector, other.metadata.labels ?? {}),
      );
      counts.set(value, (counts.get(value) ?? 0) + matching.length);
    }
    const least = counts.size < minDomains ? 0 : Math.min(...counts.values());
    const self = selects(labelSelector, pod.metadata.labels ?? {}) ? 1 : 0;
    return (counts.get(domain) ?? 0) + self - least <= maxSkew;
  });
}
