import { isNotFound } from '../../api/errors.ts';
import { resolveIntOrPercent } from '../../api/int-or-string.ts';
import { fromLabelSelector, matches } from '../../api/labels.ts';
import { controllerOf } from '../../api/owner-references.ts';
import { isPodReady, isPodTerminal } from '../../api/pods.ts';
import {
  type ObjectKey,
  POD_DISRUPTION_BUDGETS,
  PODS,
  REPLICA_SETS,
  REPLICATION_CONTROLLERS,
  STATEFUL_SETS,
} from '../../api/resource-types.ts';
import { timeString } from '../../api/times.ts';
import type { Pod, PodDisruptionBudget } from '../../api/types.ts';
import type { Lister } from '../../client/client.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { keyOf } from '../../client/indexer.ts';
import { jsonEqual } from '../../util/json.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';

const NAME = 'disruption-controller';
/** An eviction that the server has granted and that no Pod shows is forgotten after this. */
const GRANTED_MS = 120_000;

type Status = NonNullable<PodDisruptionBudget['status']>;

interface Scalable {
  readonly metadata: { readonly uid: string };
  readonly spec?: { readonly replicas?: number | undefined } | undefined;
}

export function disruptionController(context: ControllerContext): Runnable {
  const { client, clock, informers } = context;
  const budgets = informers.get(POD_DISRUPTION_BUDGETS);
  const pods = informers.get(PODS);
  const owners = {
    ReplicaSet: informers.get(REPLICA_SETS),
    ReplicationController: informers.get(REPLICATION_CONTROLLERS),
    StatefulSet: informers.get(STATEFUL_SETS),
  };
  const events = context.events('controllermanager');
  const scales = owners as unknown as Record<string, Lister<Scalable>>;
  const reconciler: Reconciler = {
    name: NAME,
    async reconcile(key: ObjectKey) {
      const budget = budgets.get(key);
      if (!budget) return DONE;
      const selector = fromLabelSelector(budget.spec?.selector);
      const covered = pods
        .list(key.namespace)
        .filter((pod) => matches(selector, pod.metadata.labels));
      if (covered.length === 0) events.event(budget, 'Normal', 'NoPods', 'No matching pods found');
      const expected = expectedPods(budget, covered, scales);
      const status = budgetStatus(budget, { covered, expected, now: clock.now() });
      if (jsonEqual(budget.status, status)) return DONE;
      try {
        const changed = { ...budget, status };
        await client.update(POD_DISRUPTION_BUDGETS, changed, { subresource: 'status' });
      } catch (err) {
        if (!isNotFound(err)) throw err;
      }
      return Object.keys(status.disruptedPods ?? {}).length > 0
        ? { requeueAfterMs: GRANTED_MS }
        : DONE;
    },
  };
  const controller = newController(context, reconciler);
  controller.watch(budgets);
  controller.watch(pods, (pod) =>
    budgets
      .list(pod.metadata.namespace)
      .filter((b) => matches(fromLabelSelector(b.spec?.selector), pod.metadata.labels))
      .map(keyOf),
  );
  for (const informer of Object.values(owners)) controller.needs(informer);
  return controller;
}

/** How many Pods there should be: the sizes of the workloads that the covered Pods belong to. Pure. */
function expectedPods(
  budget: PodDisruptionBudget,
  covered: readonly Pod[],
  owners: Record<string, Lister<Scalable>>,
): number {
  const { minAvailable } = budget.spec ?? {};
  if (typeof minAvailable === 'number') return covered.length;
  const sizes = new Map<string, number>();
  for (const pod of covered) {
    const owner = controllerOf(pod);
    const { namespace } = pod.metadata;
    const found = owner && owners[owner.kind]?.get({ namespace, name: owner.name });
    // A Pod that nobody manages stands for itself.
    if (found && found.metadata.uid === owner.uid) sizes.set(owner.uid, found.spec?.replicas ?? 1);
    else sizes.set(pod.metadata.uid, 1);
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

/** Pure. */
export function budgetStatus(
  budget: PodDisruptionBudget,
  world: { covered: readonly Pod[]; expected: number; now: number },
): Status {
  const { covered, expected, now } = world;
  const granted = stillGranted(budget, covered, now);
  const healthy = covered.filter(
    (pod) =>
      isPodReady(pod) &&
      !isPodTerminal(pod) &&
      pod.metadata.deletionTimestamp === undefined &&
      granted[pod.metadata.name] === undefined,
  ).length;
  const { minAvailable, maxUnavailable } = budget.spec ?? {};
  const desired =
    maxUnavailable === undefined
      ? resolveIntOrPercent(minAvailable ?? 0, expected, 'up')
      : Math.max(0, expected - resolveIntOrPercent(maxUnavailable, expected, 'up'));
  const disruptionsAllowed = expected > 0 ? Math.max(0, healthy - desired) : 0;
  return {
    ...(Object.keys(granted).length > 0 ? { disruptedPods: granted } : {}),
    conditions: [allowedCondition(budget, disruptionsAllowed, now)],
    currentHealthy: healthy,
    desiredHealthy: desired,
    disruptionsAllowed,
    expectedPods: expected,
    observedGeneration: budget.metadata.generation ?? 0,
  };
}

/** Evictions that the server has granted and whose Pods still look alive. */
function stillGranted(
  budget: PodDisruptionBudget,
  covered: readonly Pod[],
  now: number,
): Record<string, string> {
  const alive = new Set(
    covered
      .filter((pod) => pod.metadata.deletionTimestamp === undefined)
      .map((pod) => pod.metadata.name),
  );
  return Object.fromEntries(
    Object.entries(budget.status?.disruptedPods ?? {}).filter(
      ([name, at]) => alive.has(name) && Date.parse(at) + GRANTED_MS > now,
    ),
  );
}

function allowedCondition(budget: PodDisruptionBudget, allowed: number, now: number) {
  const type = 'DisruptionAllowed';
  const status = allowed > 0 ? 'True' : 'False';
  const reason = allowed > 0 ? 'SufficientPods' : 'InsufficientPods';
  const before = budget.status?.conditions?.find((c) => c.type === type);
  const since = before?.status === status ? before.lastTransitionTime : timeString(now);
  const observedGeneration = budget.metadata.generation ?? 0;
  return { type, status, reason, message: '', lastTransitionTime: since, observedGeneration };
}
