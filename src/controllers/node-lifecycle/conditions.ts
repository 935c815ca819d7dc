import { timeString } from '../../api/times.ts';
import type { Node } from '../../api/types.ts';
import { NOT_READY, sameTaint, type Taint, UNREACHABLE } from '../taints.ts';

type Condition = NonNullable<NonNullable<Node['status']>['conditions']>[number];

/** What a silent kubelet leaves unknown. */
const WATCHED = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'];

/** Conditions that keep Pods away, and the taint of each. */
const PRESSURE_TAINTS: Readonly<Record<string, string>> = {
  MemoryPressure: 'node.kubernetes.io/memory-pressure',
  DiskPressure: 'node.kubernetes.io/disk-pressure',
  PIDPressure: 'node.kubernetes.io/pid-pressure',
  NetworkUnavailable: 'node.kubernetes.io/network-unavailable',
};
const UNSCHEDULABLE = 'node.kubernetes.io/unschedulable';
const MANAGED = new Set([NOT_READY, UNREACHABLE, UNSCHEDULABLE, ...Object.values(PRESSURE_TAINTS)]);

export function readyCondition(node: Node): Condition | undefined {
  return node.status?.conditions?.find(({ type }) => type === 'Ready');
}

/** The conditions of a node that nothing was heard from in time. Pure. */
export function unknownConditions(node: Node, now: number): Condition[] {
  const known = node.status?.conditions ?? [];
  const at = timeString(now);
  const others = known.filter(({ type }) => !WATCHED.includes(type));
  const unknown = WATCHED.map((type): Condition => {
    const before = known.find((condition) => condition.type === type);
    if (!before) {
      return {
        type,
        status: 'Unknown',
        reason: 'NodeStatusNeverUpdated',
        message: 'Kubelet never posted node status.',
        lastHeartbeatTime: node.metadata.creationTimestamp,
        lastTransitionTime: at,
      };
    }
    if (before.status === 'Unknown') return before;
    return {
      ...before,
      status: 'Unknown',
      reason: 'NodeStatusUnknown',
      message: 'Kubelet stopped posting node status.',
      lastTransitionTime: at,
    };
  });
  return [...others, ...unknown];
}

/**
 * The taints that a node's conditions ask for, over those that are not this controller's. `evict`: the NoExecute
 * taint of a node that is not ready may be set now. Pure.
 */
export function wantedTaints(node: Node, options: { evict: boolean; now: number }): Taint[] {
  const known = node.spec?.taints ?? [];
  const wanted = conditionTaints(node, options.now).filter(
    (taint) =>
      taint.effect !== 'NoExecute' || options.evict || known.some((k) => sameTaint(k, taint)),
  );
  const others = known.filter(
    ({ key, effect }) => !(MANAGED.has(key) && effect !== 'PreferNoSchedule'),
  );
  // A taint that stays keeps its time: tolerationSeconds count from it.
  return [...others, ...wanted.map((taint) => known.find((k) => sameTaint(k, taint)) ?? taint)];
}

function conditionTaints(node: Node, now: number): Taint[] {
  const taints: Taint[] = [];
  const key = readinessTaint(node);
  if (key) {
    const timeAdded = timeString(now);
    taints.push({ key, effect: 'NoSchedule', timeAdded }, { key, effect: 'NoExecute', timeAdded });
  }
  for (const [type, pressure] of Object.entries(PRESSURE_TAINTS)) {
    const condition = node.status?.conditions?.find((c) => c.type === type);
    if (condition?.status === 'True') taints.push({ key: pressure, effect: 'NoSchedule' });
  }
  if (node.spec?.unschedulable) {
    taints.push({ key: UNSCHEDULABLE, effect: 'NoSchedule', timeAdded: timeString(now) });
  }
  return taints;
}

function readinessTaint(node: Node): string | undefined {
  const status = readyCondition(node)?.status;
  if (status === 'False') return NOT_READY;
  return status === 'Unknown' ? UNREACHABLE : undefined;
}
