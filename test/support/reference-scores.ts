import { parseQuantity } from '../../src/api/quantity.ts';
import type { Node, Pod } from '../../src/api/types.ts';
import {
  expressionHolds,
  podsOn,
  type ReferenceCluster,
  selected,
  selects,
  termSelects,
  tolerates,
} from './reference-scheduler.ts';

interface Question {
  readonly cluster: ReferenceCluster;
  readonly pod: Pod;
  /** Those that fit. */
  readonly nodes: readonly Node[];
}

/** A plugin's weight, and what it says of each node: 0 to 100. */
type Judge = readonly [weight: number, judge: (question: Question) => number[]];

const JUDGES: Readonly<Record<string, Judge>> = {
  TaintToleration: [3, fewestDislikedTaints],
  NodeAffinity: [2, preferredNodes],
  PodTopologySpread: [2, softSpread],
  InterPodAffinity: [2, company],
  NodeResourcesFit: [1, emptiest],
  NodeResourcesBalancedAllocation: [1, evenest],
  ImageLocality: [1, imagesThere],
};

/** The weighted scores of upstream's default plugins: everything worked out anew for every node. */
export function referenceScores(question: Question): Record<string, number[]> {
  const entries = Object.entries(JUDGES).map(([plugin, [weight, judge]]) => [
    plugin,
    judge(question).map((score) => weight * score),
  ]);
  return Object.fromEntries(entries);
}

export function referenceTotals(question: Question): number[] {
  const scores = Object.values(referenceScores(question));
  return question.nodes.map((_, i) => total(scores.map((ofNodes) => ofNodes[i] ?? 0)));
}

const total = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

function fewestDislikedTaints({ pod, nodes }: Question): number[] {
  const disliked = nodes.map(
    (node) =>
      (node.spec?.taints ?? []).filter(
        (taint) =>
          taint.effect === 'PreferNoSchedule' &&
          !(pod.spec?.tolerations ?? []).some((toleration) => tolerates(toleration, taint)),
      ).length,
  );
  const most = Math.max(...disliked);
  return disliked.map((count) => 100 - (most === 0 ? 0 : Math.floor((100 * count) / most)));
}

function preferredNodes({ pod, nodes }: Question): number[] {
  const wishes =
    pod.spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  const sums = nodes.map((node) =>
    total(
      wishes.map(({ weight, preference }) => {
        const labels = node.metadata.labels ?? {};
        const holds = (preference.matchExpressions ?? []).every((e) => expressionHolds(e, labels));
        return holds ? weight : 0;
      }),
    ),
  );
  const most = Math.max(...sums);
  return sums.map((sum) => (most === 0 ? 0 : Math.floor((100 * sum) / most)));
}

const HOST = 'kubernetes.io/hostname';

/** A Pod's own ScheduleAnyway constraints: the logarithm makes domains count less where there are few. */
function softSpread({ cluster, pod, nodes }: Question): number[] {
  const constraints = (pod.spec?.topologySpreadConstraints ?? []).filter(
    ({ whenUnsatisfiable }) => whenUnsatisfiable === 'ScheduleAnyway',
  );
  if (constraints.length === 0) return nodes.map(() => 0);
  const hasKeys = (node: Node) =>
    constraints.every(({ topologyKey }) => node.metadata.labels?.[topologyKey] !== undefined);
  const judged = nodes.filter(hasKeys);
  const raw = (node: Node): number =>
    Math.round(
      total(
        constraints.map(({ topologyKey, labelSelector, maxSkew }) => {
          const matching = (home: Node) =>
            podsOn(cluster, home).filter(
              (other) =>
                other.metadata.namespace === pod.metadata.namespace &&
                selects(labelSelector, other.metadata.labels ?? {}),
            ).length;
          const domainOf = (one: Node) => one.metadata.labels?.[topologyKey];
          const inDomain = cluster.nodes.filter(
            (one) => hasKeys(one) && selected(pod, one) && domainOf(one) === domainOf(node),
          );
          const count = topologyKey === HOST ? matching(node) : total(inDomain.map(matching));
          const domains = topologyKey === HOST ? judged.length : new Set(judged.map(domainOf)).size;
          return count * Math.log(domains + 2) + maxSkew - 1;
        }),
      ),
    );
  const numbers = judged.map(raw);
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)];
  return nodes.map((node) => {
    if (!hasKeys(node)) return 0;
    return most === 0 ? 100 : Math.floor((100 * (most + least - raw(node))) / most);
  });
}

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution';
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution';

/** What the Pod wishes of those who are there, and they of it. */
function company({ cluster, pod, nodes }: Question): number[] {
  const sums = nodes.map((node) =>
    total(
      cluster.pods.flatMap((other) => {
        const home = cluster.nodes.find((one) => one.metadata.name === other.spec?.nodeName);
        const near = (key: string) => {
          const domain = home?.metadata.labels?.[key];
          return domain !== undefined && domain === node.metadata.labels?.[key];
        };
        return [
          ...wishes(pod, other, near),
          ...wishes(other, pod, near),
          ...duties(other, pod, near),
        ];
      }),
    ),
  );
  const [least, most] = [Math.min(...sums), Math.max(...sums)];
  return sums.map((sum) =>
    most === least ? 0 : Math.trunc(100 * ((sum - least) / (most - least))),
  );
}

function wishes(owner: Pod, of: Pod, near: (key: string) => boolean): number[] {
  const { podAffinity, podAntiAffinity } = owner.spec?.affinity ?? {};
  const worth = (list: typeof podAffinity, sign: number) =>
    (list?.[PREFERRED] ?? [])
      .filter(({ podAffinityTerm: term }) => termSelects(term, owner, of) && near(term.topologyKey))
      .map(({ weight }) => sign * weight);
  return [...worth(podAffinity, 1), ...worth(podAntiAffinity, -1)];
}

/** A required affinity of an existing Pod is worth hardPodAffinityWeight: 1. */
function duties(owner: Pod, of: Pod, near: (key: string) => boolean): number[] {
  return (owner.spec?.affinity?.podAffinity?.[REQUIRED] ?? [])
    .filter((term) => termSelects(term, owner, of) && near(term.topologyKey))
    .map(() => 1);
}

const RESOURCES = ['cpu', 'memory'] as const;
type Resource = (typeof RESOURCES)[number];

/** Thousandths of a core, and bytes. */
function units(resource: Resource, text: string | undefined): number {
  const { nanos } = parseQuantity(text ?? '0');
  return Number(nanos / (resource === 'cpu' ? 1_000_000n : 1_000_000_000n));
}

function asked(pod: Pod, resource: Resource, otherwise: string): number {
  return total(
    (pod.spec?.containers ?? []).map(({ resources }) =>
      units(resource, resources?.requests?.[resource] ?? otherwise),
    ),
  );
}

/** LeastAllocated; a container that asks for nothing counts for a little. */
function emptiest({ cluster, pod, nodes }: Question): number[] {
  const small = { cpu: '100m', memory: '200Mi' };
  return nodes.map((node) => {
    const shares = RESOURCES.map((resource) => {
      const all = units(resource, node.status?.allocatable?.[resource]);
      const users = [...podsOn(cluster, node), pod];
      const used = total(users.map((user) => asked(user, resource, small[resource])));
      return used > all ? 0 : Math.floor(((all - used) * 100) / all);
    });
    return Math.floor(total(shares) / shares.length);
  });
}

/** How much more evenly CPU and memory would be used with the Pod than without it: 75 if nothing changes. */
function evenest({ cluster, pod, nodes }: Question): number[] {
  if (RESOURCES.every((resource) => asked(pod, resource, '0') === 0)) return nodes.map(() => 0);
  const evenness = (node: Node, users: readonly Pod[]): number => {
    const [cpu = 0, memory = 0] = RESOURCES.map((resource) => {
      const used = total(users.map((user) => asked(user, resource, '0')));
      return Math.min(1, used / units(resource, node.status?.allocatable?.[resource]));
    });
    return Math.trunc((1 - Math.abs((cpu - memory) / 2)) * 100);
  };
  return nodes.map((node) => {
    const there = podsOn(cluster, node);
    const better = evenness(node, [...there, pod]) - evenness(node, there);
    return 50 + Math.trunc((50 + better) / 2);
  });
}

const MB = 1024 * 1024;

function imagesThere({ cluster, pod, nodes }: Question): number[] {
  const sizeOn = (node: Node, name: string | undefined) =>
    node.status?.images?.find(({ names }) => names?.includes(name ?? ''))?.sizeBytes;
  const containers = pod.spec?.containers ?? [];
  return nodes.map((node) => {
    const bytes = total(
      containers.map(({ image }) => {
        const having = cluster.nodes.filter((one) => sizeOn(one, image) !== undefined).length;
        return Math.trunc((sizeOn(node, image) ?? 0) * (having / cluster.nodes.length));
      }),
    );
    const [least, most] = [23 * MB, 1000 * MB * containers.length];
    const counted = Math.max(least, Math.min(most, bytes));
    return Math.trunc((100 * (counted - least)) / (most - least));
  });
}
