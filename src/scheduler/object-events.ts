import type { Node, Pod } from '../api/types.ts';
import type { ClusterEvent } from './cluster-events.ts';
import { amount, type Resources } from './resources.ts';

/** What about a node changed that scheduling may care about. */
export function nodeEvents(before: Node, after: Node): ClusterEvent[] {
  const events: ClusterEvent[] = [];
  if (differ(before.status?.allocatable, after.status?.allocatable)) {
    events.push('Node/UpdateAllocatable');
  }
  if (differ(before.metadata.labels, after.metadata.labels)) events.push('Node/UpdateLabel');
  const taintsChanged = differ(before.spec?.taints, after.spec?.taints);
  const cordonChanged =
    (before.spec?.unschedulable ?? false) !== (after.spec?.unschedulable ?? false);
  if (taintsChanged || cordonChanged) events.push('Node/UpdateTaint');
  if (differ(conditions(before), conditions(after))) events.push('Node/UpdateCondition');
  if (differ(before.metadata.annotations, after.metadata.annotations)) {
    events.push('Node/UpdateAnnotation');
  }
  return events;
}

interface SizedPod {
  readonly pod: Pod;
  readonly requests: Resources;
}

/** What about a bound Pod changed that may help others. */
export function assignedPodEvents(before: SizedPod, after: SizedPod): ClusterEvent[] {
  const events: ClusterEvent[] = [];
  if (differ(before.pod.metadata.labels, after.pod.metadata.labels)) {
    events.push('AssignedPod/UpdateLabel');
  }
  if (scaledDown(before.requests, after.requests)) events.push('AssignedPod/UpdateScaleDown');
  return events;
}

/** What about a waiting Pod changed that may make it fit. */
export function waitingPodEvents(before: SizedPod, after: SizedPod): ClusterEvent[] {
  const [old, now] = [before.pod, after.pod];
  const events: ClusterEvent[] = [];
  if (differ(old.metadata.labels, now.metadata.labels)) events.push('Pod/UpdateLabel');
  if (scaledDown(before.requests, after.requests)) events.push('Pod/UpdateScaleDown');
  if (differ(old.spec?.tolerations, now.spec?.tolerations)) events.push('Pod/UpdateToleration');
  if ((old.spec?.schedulingGates?.length ?? 0) > 0 && !now.spec?.schedulingGates?.length) {
    events.push('Pod/UpdateSchedulingGates');
  }
  if (differ(old.status?.resourceClaimStatuses, now.status?.resourceClaimStatuses)) {
    events.push('Pod/UpdateGeneratedResourceClaim');
  }
  const { schedulingGates: _a, tolerations: _b, ...oldSpec } = old.spec ?? {};
  const { schedulingGates: _c, tolerations: _d, ...nowSpec } = now.spec ?? {};
  if (differ(oldSpec, nowSpec)) events.push('Pod/Update');
  return events;
}

function scaledDown(before: Resources, after: Resources): boolean {
  const names = ['cpu', 'memory', 'ephemeral-storage', ...before.scalar.keys()];
  return names.some((name) => amount(after, name) < amount(before, name));
}

/** Only type and status: heartbeats change nothing. */
function conditions(node: Node): unknown {
  return (node.status?.conditions ?? []).map(({ type, status }) => [type, status]);
}

function differ(a: unknown, b: unknown): boolean {
  return a !== b && JSON.stringify(a) !== JSON.stringify(b);
}
