import type { Node, Pod, PodDisruptionBudget } from '../../src/api/types.ts';
import { fits, podsOn, type ReferenceCluster, selects } from './reference-scheduler.ts';

export interface ReferenceVictims {
  /** Sorted by name. */
  readonly names: readonly string[];
  /** How many of them a budget would rather keep. */
  readonly violations: number;
  /** To be compared from left to right: less is better. */
  readonly cost: readonly number[];
}

const priorityOf = (pod: Pod): number => pod.spec?.priority ?? 0;
const startOf = (pod: Pod): number => Date.parse(pod.status?.startTime ?? '');
const moreImportantFirst = (a: Pod, b: Pod) =>
  priorityOf(b) - priorityOf(a) || startOf(a) - startOf(b);

/**
 * Whom to evict from `node`, by the documented greedy rule: all of lower priority go; then those come back for whom the
 * new Pod still fits, the ones that budgets protect before the others, the more important first. Undefined when it
 * does not help.
 */
export function victimsOn(
  cluster: ReferenceCluster,
  { pod, budgets }: { pod: Pod; budgets: readonly PodDisruptionBudget[] },
  node: Node,
): ReferenceVictims | undefined {
  const lower = podsOn(cluster, node)
    .filter((other) => priorityOf(other) < priorityOf(pod))
    .sort(moreImportantFirst);
  if (lower.length === 0) return undefined;
  const fitsWithout = (gone: readonly Pod[]): boolean =>
    fits({ ...cluster, pods: cluster.pods.filter((one) => !gone.includes(one)) }, pod, node);
  if (!fitsWithout(lower)) return undefined;
  const kept = protectedOnes(lower, budgets);
  let gone = lower;
  for (const other of [...kept, ...lower.filter((one) => !kept.includes(one))]) {
    const fewer = gone.filter((one) => one !== other);
    if (fitsWithout(fewer)) gone = fewer;
  }
  const violations = gone.filter((one) => kept.includes(one)).length;
  const names = gone.map(({ metadata }) => metadata.name).sort();
  return { names, violations, cost: costOf(gone, violations) };
}

/** Whose eviction would be one too many, if they all went in this order. */
function protectedOnes(pods: readonly Pod[], budgets: readonly PodDisruptionBudget[]): Pod[] {
  return pods.filter((pod, i) =>
    budgets.some((budget) => {
      const spends = (one: Pod) =>
        one.metadata.namespace === budget.metadata.namespace &&
        Object.keys(budget.spec?.selector?.matchLabels ?? {}).length > 0 &&
        selects(budget.spec?.selector, one.metadata.labels ?? {}) &&
        budget.status?.disruptedPods?.[one.metadata.name] === undefined;
      const before = pods.slice(0, i).filter(spends).length;
      return spends(pod) && before >= (budget.status?.disruptionsAllowed ?? 0);
    }),
  );
}

/** Fewest broken budgets, lowest highest priority, lowest sum of priorities, fewest Pods, latest start of the highest. */
function costOf(gone: readonly Pod[], violations: number): number[] {
  const highest = Math.max(...gone.map(priorityOf));
  const sum = gone.reduce((all, pod) => all + priorityOf(pod) + 2 ** 31, 0);
  const starts = gone.filter((pod) => priorityOf(pod) === highest).map(startOf);
  return [violations, highest, sum, gone.length, -Math.min(...starts)];
}

/** The least of the costs. */
export function leastCost(victims: readonly ReferenceVictims[]): readonly number[] | undefined {
  const costs = victims.map(({ cost }) => cost);
  return costs.find((cost) => costs.every((other) => !isLess(other, cost)));
}

function isLess(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at >= 0 && (a[at] ?? 0) < (b[at] ?? 0);
}
