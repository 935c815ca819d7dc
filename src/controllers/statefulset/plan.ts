import { resolveIntOrPercent } from '../../api/int-or-string.ts';
import { isPodAvailable, isPodTerminal } from '../../api/pods.ts';
import type { Pod, StatefulSet } from '../../api/types.ts';
import { ordinalOf, REVISION_LABEL, startOrdinal } from './members.ts';

/** What is to be done now; the rest follows when this has shown effect. */
export type Action =
  | { readonly do: 'create'; readonly ordinal: number; readonly current: boolean }
  | { readonly do: 'delete'; readonly pod: Pod; readonly surplus: boolean };

export interface Revisions {
  readonly current: string;
  readonly update: string;
}

export function wishedReplicas(set: StatefulSet): number {
  return set.spec?.replicas ?? 1;
}

export function revisionLabel(pod: Pod): string {
  return pod.metadata.labels?.[REVISION_LABEL] ?? '';
}

export function isGoing(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined;
}

/** The Pods of the wished ordinals, a hole where one is missing, and those that are too many, highest first. */
export function arrange(
  set: StatefulSet,
  pods: readonly Pod[],
): { slots: { ordinal: number; pod: Pod | undefined }[]; surplus: Pod[] } {
  const start = startOrdinal(set);
  const count = wishedReplicas(set);
  const byOrdinal = new Map(pods.map((pod) => [ordinalOf(set, pod) ?? -1, pod]));
  const slots = Array.from({ length: count }, (_, i) => {
    const ordinal = start + i;
    return { ordinal, pod: byOrdinal.get(ordinal) };
  });
  const outside = [...byOrdinal].filter(([n]) => n < start || n >= start + count);
  return { slots, surplus: outside.sort(([a], [b]) => b - a).map(([, pod]) => pod) };
}

/** The next steps of a StatefulSet: ordered, one at a time, or all at once with Parallel (KEP-961 for maxUnavailable). Pure. */
export function plan(
  set: StatefulSet,
  pods: readonly Pod[],
  options: { revisions: Revisions; now: number },
): Action[] {
  const ordered = set.spec?.podManagementPolicy !== 'Parallel';
  const { slots, surplus } = arrange(set, pods);
  const healthy = healthCheck(set, options.now);
  const actions: Action[] = [];
  for (const { ordinal, pod } of slots) {
    const action = fillSlot(set, ordinal, pod);
    if (action) actions.push(action);
    if (ordered && (action || !pod || !healthy(pod))) return actions;
  }
  const dropped = dropSurplus(surplus, { ordered, healthy });
  actions.push(...dropped.actions);
  if (dropped.wait) return actions;
  if (actions.length > 0 || set.spec?.updateStrategy?.type === 'OnDelete') return actions;
  const members = slots.flatMap(({ pod }) => (pod ? [pod] : []));
  return outdated(set, members, { update: options.revisions.update, healthy });
}

/** `wait`: nothing else may happen before the surplus is gone. */
function dropSurplus(
  surplus: readonly Pod[],
  { ordered, healthy }: { ordered: boolean; healthy: (pod: Pod) => boolean },
): { actions: Action[]; wait: boolean } {
  const staying = surplus.filter((pod) => !isGoing(pod));
  const deletion = (pod: Pod): Action => ({ do: 'delete', pod, surplus: true });
  if (!ordered) return { actions: staying.map(deletion), wait: false };
  const [highest] = surplus;
  if (!highest) return { actions: [], wait: false };
  const firstUnhealthy = surplus.findLast((pod) => !healthy(pod));
  const mayGo = !isGoing(highest) && (healthy(highest) || highest === firstUnhealthy);
  return { actions: mayGo ? [deletion(highest)] : [], wait: true };
}

function healthCheck(set: StatefulSet, now: number): (pod: Pod) => boolean {
  const minReadySeconds = set.spec?.minReadySeconds ?? 0;
  return (pod) => !isGoing(pod) && isPodAvailable(pod, minReadySeconds, now);
}

function fillSlot(set: StatefulSet, ordinal: number, pod: Pod | undefined): Action | undefined {
  if (!pod) return { do: 'create', ordinal, current: wantsCurrent(set, ordinal) };
  // What has ended is made anew under the same name.
  if (isPodTerminal(pod) && !isGoing(pod)) return { do: 'delete', pod, surplus: false };
  return undefined;
}

/** During an update, the ordinals below the partition are still made from the old template. */
function wantsCurrent(set: StatefulSet, ordinal: number): boolean {
  const { type = 'RollingUpdate', rollingUpdate } = set.spec?.updateStrategy ?? {};
  if (type !== 'RollingUpdate') return false;
  return ordinal < startOrdinal(set) + (rollingUpdate?.partition ?? 0);
}

/** The Pods to replace now, highest ordinal first, above the partition, within maxUnavailable. */
function outdated(
  set: StatefulSet,
  members: readonly Pod[],
  options: { update: string; healthy: (pod: Pod) => boolean },
): Action[] {
  const { partition = 0, maxUnavailable = 1 } = set.spec?.updateStrategy?.rollingUpdate ?? {};
  const max = Math.max(1, resolveIntOrPercent(maxUnavailable, wishedReplicas(set), 'up'));
  const isOld = (pod: Pod) => revisionLabel(pod) !== options.update;
  const inWork = members.filter((pod) => isGoing(pod) || (!isOld(pod) && !options.healthy(pod)));
  let budget = max - inWork.length;
  const actions: Action[] = [];
  for (const pod of members.slice(partition).reverse()) {
    if (!isOld(pod) || isGoing(pod)) continue;
    if (budget <= 0) break;
    budget--;
    actions.push({ do: 'delete', pod, surplus: false });
  }
  return actions;
}
