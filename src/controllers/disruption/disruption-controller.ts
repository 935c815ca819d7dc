import { resolveIntOrPercent } from '../../api/int-or-string.ts';
import { formatSelector, fromLabelSelector, matches, type Selector } from '../../api/labels.ts';
import { controllerOf } from '../../api/owner-references.ts';
import { isPodReady, isPodTerminal } from '../../api/pods.ts';
import { type ObjectKey, POD_DISRUPTION_BUDGETS, PODS } from '../../api/resource-types.ts';
import { timeString } from '../../api/times.ts';
import type { Pod, PodDisruptionBudget } from '../../api/types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { keyOf } from '../../client/indexer.ts';
import { errorMessage } from '../../util/errors.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { indexByLabel, selectedBy } from '../selected.ts';
import { StatusWriter } from '../status-writer.ts';
import { staleDisruptions } from './stale-disruptions.ts';
import { Workloads } from './workloads.ts';

const NAME = 'disruption-controller';
/** An eviction that the server has granted and that no Pod shows is forgotten after this. */
const GRANTED_MS = 120_000;

type Status = NonNullable<PodDisruptionBudget['status']>;

export function disruptionController(context: ControllerContext): readonly Runnable[] {
  const { client, clock, informers } = context;
  const budgets = informers.get(POD_DISRUPTION_BUDGETS);
  const pods = informers.get(PODS);
  indexByLabel(pods);
  const statuses = new StatusWriter(client, budgets);
  const workloads = new Workloads(context);
  const events = context.events('controllermanager');
  const reconciler: Reconciler = {
    name: NAME,
    async reconcile(key: ObjectKey) {
      const budget = statuses.get(key);
      if (!budget) return DONE;
      const selector = fromLabelSelector(budget.spec?.selector);
      const covered = selectedBy(pods, key.namespace, selector);
      if (covered.length === 0) events.event(budget, 'Normal', 'NoPods', 'No matching pods found');
      const now = clock.now();
      let status: Status;
      try {
        const { expected, unmanaged } = await expectedPods(budget, covered, workloads);
        if (unmanaged) events.event(budget, 'Warning', 'UnmanagedPods', unmanagedText(selector));
        status = budgetStatus(budget, { covered, expected, now });
      } catch (err) {
        const text = `Failed to calculate the number of expected pods: ${errorMessage(err)}`;
        events.event(budget, 'Warning', 'CalculateExpectedPodCountFailed', text);
        // Whoever asks for an eviction must not rely on a number from before.
        await statuses.write(budget, failedStatus(budget, errorMessage(err), now));
        throw err;
      }
      await statuses.write(budget, status);
      const granted = Object.keys(status.disruptedPods ?? {}).length > 0;
      return granted ? { requeueAfterMs: GRANTED_MS } : DONE;
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
  for (const informer of workloads.informers) controller.needs(informer);
  return [controller, staleDisruptions(context)];
}

/** How many Pods there should be: the sizes of the workloads that the covered Pods belong to. */
async function expectedPods(
  budget: PodDisruptionBudget,
  covered: readonly Pod[],
  workloads: Workloads,
): Promise<{ expected: number; unmanaged: boolean }> {
  const { minAvailable, maxUnavailable } = budget.spec ?? {};
  const bySize = maxUnavailable !== undefined || typeof minAvailable === 'string';
  if (!bySize) return { expected: covered.length, unmanaged: false };
  const sizes = new Map<string, number>();
  let unmanaged = false;
  for (const pod of covered) {
    const owner = controllerOf(pod);
    if (!owner) unmanaged = true;
    else if (!sizes.has(owner.uid)) {
      const found = await workloads.sizeOf(pod.metadata.namespace, owner);
      if (found) sizes.set(found.uid, found.replicas);
    }
  }
  return { expected: [...sizes.values()].reduce((sum, size) => sum + size, 0), unmanaged };
}

function unmanagedText(selector: Selector): string {
  return `Pods selected by this PodDisruptionBudget (selector: ${formatSelector(selector)}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.`;
}

function failedStatus(budget: PodDisruptionBudget, message: string, now: number): Status {
  const why = { status: 'False', reason: 'SyncFailed', message };
  return {
    ...{ currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 },
    ...budget.status,
    disruptionsAllowed: 0,
    conditions: withAllowed(budget, why, now),
    observedGeneration: budget.metadata.generation ?? 0,
  };
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
    conditions: withAllowed(budget, allowedWhy(disruptionsAllowed), now),
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

function allowedWhy(allowed: number) {
  return allowed > 0
    ? { status: 'True', reason: 'SufficientPods', message: '' }
    : { status: 'False', reason: 'InsufficientPods', message: '' };
}

/** Conditions of others stay. */
function withAllowed(
  budget: PodDisruptionBudget,
  why: { status: string; reason: string; message: string },
  now: number,
): NonNullable<Status['conditions']> {
  const type = 'DisruptionAllowed';
  const known = budget.status?.conditions ?? [];
  const before = known.find((condition) => condition.type === type);
  const lastTransitionTime =
    before?.status === why.status ? before.lastTransitionTime : timeString(now);
  const observedGeneration = budget.metadata.generation ?? 0;
  const next = { type, ...why, lastTransitionTime, observedGeneration };
  if (!before) return [...known, next];
  return known.map((condition) => (condition === before ? next : condition));
}
