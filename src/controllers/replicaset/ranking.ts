import { isPodReady, podCondition } from '../../api/pods.ts';
import type { Pod } from '../../api/types.ts';

const COST_ANNOTATION = 'controller.kubernetes.io/pod-deletion-cost';
const PHASE_RANK: Record<string, number> = { Pending: 0, Unknown: 1, Running: 2 };

/**
 * The Pods to give up when there are `surplus` too many, the least useful first (upstream's ActivePodsWithRanks).
 * `peersOnNode` tells how many Pods of the same workload share the node.
 */
export function podsToDelete(
  pods: readonly Pod[],
  surplus: number,
  options: { peersOnNode: ReadonlyMap<string, number>; now: number },
): Pod[] {
  if (surplus >= pods.length) return [...pods];
  const compare = deletionOrder(options.peersOnNode, options.now);
  return [...pods].sort(compare).slice(0, surplus);
}

/** How many of these Pods each node has. */
export function countByNode(pods: readonly Pod[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const pod of pods) {
    const node = pod.spec?.nodeName ?? '';
    counts.set(node, (counts.get(node) ?? 0) + 1);
  }
  return counts;
}

function deletionOrder(peersOnNode: ReadonlyMap<string, number>, now: number) {
  const peers = (pod: Pod) => peersOnNode.get(pod.spec?.nodeName ?? '') ?? 0;
  const criteria: ((a: Pod, b: Pod) => number)[] = [
    (a, b) => Number(isAssigned(a)) - Number(isAssigned(b)),
    (a, b) => phaseRank(a) - phaseRank(b),
    (a, b) => Number(isPodReady(a)) - Number(isPodReady(b)),
    (a, b) => deletionCost(a) - deletionCost(b),
    (a, b) => peers(b) - peers(a),
    // Ready or created a shorter time first; ages of like magnitude count as equal, so that which Pod
    // goes does not depend on how the old ones were once made.
    (a, b) => compareAges(readySince(a), readySince(b), now),
    (a, b) => restarts(b) - restarts(a),
    (a, b) => compareAges(createdAt(a), createdAt(b), now),
  ];
  return (a: Pod, b: Pod): number => {
    for (const criterion of criteria) {
      const order = criterion(a, b);
      if (order !== 0) return order;
    }
    return a.metadata.uid < b.metadata.uid ? -1 : 1;
  };
}

function isAssigned(pod: Pod): boolean {
  return Boolean(pod.spec?.nodeName);
}

function phaseRank(pod: Pod): number {
  return PHASE_RANK[pod.status?.phase ?? 'Pending'] ?? 0;
}

/** An annotation that is no 32-bit integer counts as 0 (KEP-2255). */
function deletionCost(pod: Pod): number {
  const text = pod.metadata.annotations?.[COST_ANNOTATION];
  return text !== undefined && /^(0|-?[1-9]\d*)$/.test(text) ? Number(text) : 0;
}

function readySince(pod: Pod): number | undefined {
  if (!isPodReady(pod)) return undefined;
  return parseTime(podCondition(pod, 'Ready')?.lastTransitionTime);
}

function createdAt(pod: Pod): number | undefined {
  return parseTime(pod.metadata.creationTimestamp);
}

function parseTime(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Date.parse(text);
}

function compareAges(a: number | undefined, b: number | undefined, now: number): number {
  if (a === b) return 0;
  if (a === undefined) return -1; // an unknown time counts as the newest
  if (b === undefined) return 1;
  return magnitude(now - a) - magnitude(now - b);
}

/** Upstream's logarithmic rounding: the exponent of the age in nanoseconds. */
function magnitude(ageMs: number): number {
  return ageMs <= 0 ? 0 : Math.floor(Math.log2(ageMs * 1e6));
}

function restarts(pod: Pod): number {
  const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
  return Math.max(
    0,
    ...[...containerStatuses, ...initContainerStatuses].map((s) => s.restartCount),
  );
}
