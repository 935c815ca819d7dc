import { resolveIntOrPercent } from '../../api/int-or-string.ts';
import { isPodAvailable, isPodReady, isPodTerminal } from '../../api/pods.ts';
import { POD_TEMPLATE_GENERATION, templateGeneration } from '../../api/template-generation.ts';
import type { DaemonSet, Node, Pod } from '../../api/types.ts';
import { withoutZeros } from '../without-zeros.ts';
import { placement, targetNode } from './nodes.ts';

const REVISION_LABEL = 'controller-revision-hash';

/** What says which template a Pod was made of. */
export function revisionLabels(set: DaemonSet, hash: string): Record<string, string> {
  const generation = templateGeneration(set);
  return {
    [REVISION_LABEL]: hash,
    ...(generation === undefined ? {} : { [POD_TEMPLATE_GENERATION]: String(generation) }),
  };
}

/** Either label will do: a revision that somebody removed comes back with another hash for the same template. */
function isUpdated(set: DaemonSet, pod: Pod, hash: string): boolean {
  const given = pod.metadata.labels ?? {};
  return Object.entries(revisionLabels(set, hash)).some(([key, value]) => given[key] === value);
}

export interface DaemonPlan {
  /** Nodes that get a Pod. */
  readonly create: string[];
  readonly delete: Pod[];
  /** Of those, Pods that have ended by themselves. */
  readonly ended: Pod[];
}

export interface DaemonWorld {
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  /** The label value of the newest template. */
  readonly hash: string;
  readonly now: number;
}

/** One Pod on every node that should have one, none elsewhere; then, if nothing is amiss, the next step of an update. Pure. */
export function planDaemons(set: DaemonSet, world: DaemonWorld): DaemonPlan {
  const plan: DaemonPlan = { create: [], delete: [], ended: [] };
  const byNode = Map.groupBy(world.pods, (pod) => targetNode(pod.spec));
  for (const node of world.nodes) {
    const pods = byNode.get(node.metadata.name) ?? [];
    byNode.delete(node.metadata.name);
    planNode(set, { node, pods, world }, plan);
  }
  // Pods of nodes that are gone are the Pod garbage collector's; those that aim at them never start.
  for (const pod of [...byNode.values()].flat()) {
    if (!pod.spec?.nodeName && !isGoing(pod)) plan.delete.push(pod);
  }
  if (plan.create.length > 0 || plan.delete.length > 0) return plan;
  const { type = 'RollingUpdate' } = set.spec?.updateStrategy ?? {};
  return type === 'RollingUpdate' ? planUpdate(set, world) : plan;
}

function planNode(
  set: DaemonSet,
  { node, pods, world }: { node: Node; pods: readonly Pod[]; world: DaemonWorld },
  plan: DaemonPlan,
): void {
  const { run, stay } = placement(set, node);
  const staying = pods.filter((pod) => !isGoing(pod));
  if (run && pods.length === 0) {
    plan.create.push(node.metadata.name);
    return;
  }
  if (!stay) {
    plan.delete.push(...staying);
    return;
  }
  const ended = staying.filter(isPodTerminal);
  plan.delete.push(...ended);
  plan.ended.push(...ended);
  const alive = staying.filter((pod) => !isPodTerminal(pod));
  plan.delete.push(...surplusOn(set, alive, world));
}

/** More than one on a node: the oldest stays; during a surging update old and new may stand side by side. */
function surplusOn(set: DaemonSet, alive: readonly Pod[], { hash, now }: DaemonWorld): Pod[] {
  const sorted = alive.toSorted(byAge);
  const [first] = sorted;
  if (!first || sorted.length === 1) return [];
  if (surgeOf(set, 1) === 0) return sorted.slice(1);
  const newest = sorted.find((pod) => isUpdated(set, pod, hash));
  const old = sorted.find((pod) => !isUpdated(set, pod, hash));
  const keep = new Set([newest, old]);
  if (newest && old && isPodAvailable(newest, set.spec?.minReadySeconds ?? 0, now))
    keep.delete(old);
  return sorted.filter((pod) => !keep.has(pod));
}

function planUpdate(set: DaemonSet, world: DaemonWorld): DaemonPlan {
  const plan: DaemonPlan = { create: [], delete: [], ended: [] };
  const byNode = Map.groupBy(world.pods, (pod) => targetNode(pod.spec));
  const wanted = world.nodes.filter((node) => placement(set, node).run);
  const surge = surgeOf(set, wanted.length);
  const available = (pod: Pod) =>
    !isGoing(pod) && isPodAvailable(pod, set.spec?.minReadySeconds ?? 0, world.now);
  const on = (node: Node) => byNode.get(node.metadata.name) ?? [];
  const outdated = wanted.filter(
    (node) => on(node).length > 0 && !on(node).some((p) => isUpdated(set, p, world.hash)),
  );
  if (surge > 0) {
    const inWork = wanted.filter((node) => on(node).length > 1).length;
    const free = outdated.filter((node) => !on(node).some(isGoing));
    // Where nothing serves, nothing is lost: a new Pod there counts as a replacement, not as surge.
    const [serving, idle] = [
      free.filter((node) => on(node).some(available)),
      free.filter((node) => !on(node).some(available)),
    ];
    const next = [...idle, ...serving.slice(0, Math.max(0, surge - inWork))];
    plan.create.push(...next.map((node) => node.metadata.name));
    return plan;
  }
  const max = Math.max(1, unavailableOf(set, wanted.length));
  let budget = max - wanted.filter((node) => !on(node).some(available)).length;
  for (const node of outdated) {
    for (const pod of on(node).filter((p) => !isGoing(p))) {
      // What does not serve anyway costs nothing.
      if (available(pod)) {
        if (budget <= 0) continue;
        budget--;
      }
      plan.delete.push(pod);
    }
  }
  return plan;
}

function surgeOf(set: DaemonSet, nodes: number): number {
  const { maxSurge = 0 } = set.spec?.updateStrategy?.rollingUpdate ?? {};
  return resolveIntOrPercent(maxSurge, nodes, 'up');
}

function unavailableOf(set: DaemonSet, nodes: number): number {
  const { maxUnavailable = 1 } = set.spec?.updateStrategy?.rollingUpdate ?? {};
  return resolveIntOrPercent(maxUnavailable, nodes, 'up');
}

export function isGoing(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined;
}

function byAge(a: Pod, b: Pod): number {
  return a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : 1;
}

/** Pure. */
export function daemonSetStatus(
  set: DaemonSet,
  world: DaemonWorld,
  collisionCount: number,
): NonNullable<DaemonSet['status']> {
  const byNode = Map.groupBy(world.pods, (pod) => targetNode(pod.spec));
  const minReadySeconds = set.spec?.minReadySeconds ?? 0;
  const counts = { desired: 0, current: 0, misplaced: 0, ready: 0, updated: 0, available: 0 };
  for (const node of world.nodes) {
    const pods = byNode.get(node.metadata.name) ?? [];
    if (!placement(set, node).run) counts.misplaced += Number(pods.length > 0);
    else {
      const [oldest] = pods.toSorted(byAge);
      counts.desired++;
      counts.current += Number(pods.length > 0);
      counts.ready += Number(pods.some(isPodReady));
      counts.available += Number(
        pods.some((pod) => isPodAvailable(pod, minReadySeconds, world.now)),
      );
      counts.updated += Number(oldest !== undefined && isUpdated(set, oldest, world.hash));
    }
  }
  const required = [
    'currentNumberScheduled',
    'desiredNumberScheduled',
    'numberMisscheduled',
    'numberReady',
  ] as const;
  return withoutZeros(
    {
      currentNumberScheduled: counts.current,
      desiredNumberScheduled: counts.desired,
      numberMisscheduled: counts.misplaced,
      numberReady: counts.ready,
      updatedNumberScheduled: counts.updated,
      numberAvailable: counts.available,
      numberUnavailable: counts.desired - counts.available,
      observedGeneration: set.metadata.generation ?? 0,
      ...(collisionCount > 0 || set.status?.collisionCount !== undefined ? { collisionCount } : {}),
      conditions: set.status?.conditions ?? [],
    },
    [...required, 'collisionCount'],
  );
}
