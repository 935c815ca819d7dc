import type { PodDisruptionBudget } from '../api/types.ts';
import type { PodInfo } from './pod-info.ts';
import { compileLabelSelector, type LabelMatcher } from './selectors.ts';

/** Pods to evict from one node so that another fits there, most important first. */
export interface Victims {
  readonly nodeName: string;
  readonly pods: readonly PodInfo[];
  /** How many of them a PodDisruptionBudget would rather keep. */
  readonly pdbViolations: number;
}

/** When the Pod started: the later, the less there is to lose. Not started: now. */
export function startTimeOf({ pod }: PodInfo): number {
  return pod.status?.startTime ? Date.parse(pod.status.startTime) : Number.POSITIVE_INFINITY;
}

/** Sorts the more important Pod first: higher priority, then longer running. */
export function byImportance(a: PodInfo, b: PodInfo): number {
  if (a.priority !== b.priority) return b.priority - a.priority;
  const [started, other] = [startTimeOf(a), startTimeOf(b)];
  return started === other ? 0 : started - other;
}

interface Budget {
  readonly namespace: string;
  readonly selects: LabelMatcher;
  readonly exempt: Readonly<Record<string, unknown>>;
  allowed: number;
}

/** Splits Pods, in order, into those whose eviction would break a budget and the rest; each counts against what is left. */
export function splitByBudgets(
  pods: readonly PodInfo[],
  budgets: readonly PodDisruptionBudget[],
): { violating: PodInfo[]; others: PodInfo[] } {
  const left = budgets.flatMap((pdb) => budgetOf(pdb) ?? []);
  const violating: PodInfo[] = [];
  const others: PodInfo[] = [];
  for (const pod of pods) (spends(left, pod) ? violating : others).push(pod);
  return { violating, others };
}

function budgetOf(pdb: PodDisruptionBudget): Budget | undefined {
  const selector = pdb.spec?.selector;
  const terms =
    Object.keys(selector?.matchLabels ?? {}).length + (selector?.matchExpressions?.length ?? 0);
  // An empty selector protects nothing here, as upstream has it.
  if (terms === 0) return undefined;
  return {
    namespace: pdb.metadata.namespace,
    selects: compileLabelSelector(selector),
    exempt: pdb.status?.disruptedPods ?? {},
    allowed: pdb.status?.disruptionsAllowed ?? 0,
  };
}

/** Counts the Pod against its budgets; true when one of them is overdrawn by it. */
function spends(budgets: readonly Budget[], pod: PodInfo): boolean {
  let violates = false;
  if (Object.keys(pod.labels).length === 0) return false;
  for (const budget of budgets) {
    if (budget.namespace !== pod.namespace || !budget.selects(pod.labels)) continue;
    if (pod.pod.metadata.name in budget.exempt) continue; // its disruption is counted already
    budget.allowed--;
    if (budget.allowed < 0) violates = true;
  }
  return violates;
}

/**
 * The node whose victims cost least: fewest broken budgets, then lowest highest priority, then lowest sum of
 * priorities, then fewest Pods, then the latest start of the most important one. The first of equals.
 */
export function cheapest(candidates: readonly Victims[]): Victims | undefined {
  let best: { victims: Victims; cost: readonly number[] } | undefined;
  for (const victims of candidates) {
    if (victims.pods.length === 0) return victims; // somebody left meanwhile: nothing to pay
    const cost = costOf(victims);
    if (!best || compareCosts(cost, best.cost) < 0) best = { victims, cost };
  }
  return best?.victims;
}

// Keeps sums comparable: a Pod of negative priority still costs something.
const PRIORITY_OFFSET = 2 ** 31;

function costOf({ pods, pdbViolations }: Victims): readonly number[] {
  const highest = pods[0]?.priority ?? 0;
  const sum = pods.reduce((total, pod) => total + pod.priority + PRIORITY_OFFSET, 0);
  const important = pods.filter((pod) => pod.priority === highest);
  const earliest = Math.min(...important.map(startTimeOf));
  return [pdbViolations, highest, sum, pods.length, -earliest];
}

function compareCosts(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) {
    const [x = 0, y = 0] = [a[i], b[i]];
    if (x !== y) return x < y ? -1 : 1;
  }
  return 0;
}
