import { ApiError, badRequest, isNotFound } from '../../api/errors.ts';
import { fromLabelSelector, matches } from '../../api/labels.ts';
import { isPodTerminal } from '../../api/pods.ts';
import type { Eviction, KubeObject, Pod, PodDisruptionBudget } from '../../api/types.ts';
import { timestamp } from '../before-write.ts';
import { readObjectAs } from '../decode-body.ts';
import { checkPreconditions, type DeleteOptions } from '../deletion.ts';
import type { Exchange } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import { sendSuccess } from '../reading.ts';
import type { ResourceKind, Strategy, WriteContext } from '../resource-kind.ts';
import { admissionRequest } from '../resource-store.ts';
import { parseObject } from '../stored-object.ts';
import { parseDryRun, writeContext } from '../write-options.ts';

const EVICTION = {
  group: 'policy',
  version: 'v1',
  kind: 'Eviction',
  definition: 'io.k8s.api.policy.v1.Eviction',
};
// More disrupted Pods than these in one budget mean that its controller is not keeping up.
const MAX_DISRUPTED = 2000;
const STATUS_ONLY: Strategy = {};

/** POST pods/NAME/eviction: a delete that first asks the Pod's disruption budget. */
export async function evictPod(
  deps: HandlerDeps & { budgetKind: ResourceKind },
  exchange: Exchange,
  target: Target,
): Promise<void> {
  const now = deps.clock.now();
  const eviction = (await readObjectAs(deps, exchange, EVICTION)) as unknown as Eviction;
  const { name } = eviction.metadata;
  if (name && name !== target.name) {
    throw badRequest('name in URL does not match name in Eviction object');
  }
  const given = eviction.deleteOptions ?? {};
  const dryRun = parseDryRun(
    [...exchange.query.getAll('dryRun'), ...(given.dryRun ?? [])],
    'DeleteOptions',
  );
  const context = writeContext(exchange, { dryRun }, now);
  const { object } = await deps.store.read(target.kind, target);
  const pod = object as unknown as Pod;
  await deps.store.admission.admit(
    admissionRequest(target.kind, 'CREATE', {
      object: eviction as unknown as KubeObject,
      ...{ context, subresource: 'eviction', key: target },
    }),
  );
  if (!goesWithoutAsking(pod)) await spendBudget(deps, pod, context);
  const options = {
    gracePeriodSeconds: given.gracePeriodSeconds,
    propagationPolicy: given.propagationPolicy,
    orphanDependents: given.orphanDependents,
    preconditions: given.preconditions,
    dryRun,
  };
  if (!dryRun) options.preconditions = await markDisrupted(deps, target, options, context);
  await deps.store.delete(target.kind, target, options, context);
  await sendSuccess(exchange, 201);
}

/** Says on the Pod why it goes, for those who ask whether its end was its own fault. Answers what the deletion expects. */
async function markDisrupted(
  deps: HandlerDeps,
  target: Target,
  options: DeleteOptions,
  context: WriteContext,
): Promise<DeleteOptions['preconditions']> {
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'EvictionByEvictionAPI',
    message: 'Eviction API: evicting',
    lastTransitionTime: timestamp(context.now),
  };
  const change = (object: KubeObject): KubeObject => {
    checkPreconditions(target.kind, object, options);
    const { status = {}, metadata } = object as unknown as Pod;
    const others = (status.conditions ?? []).filter(({ type }) => type !== condition.type);
    // Its newest version is meant, and what is given back below is what is checked at the deletion.
    delete (metadata as { resourceVersion?: string }).resourceVersion;
    return { ...object, status: { ...status, conditions: [...others, condition] } };
  };
  const update = { strategy: STATUS_ONLY, subresource: 'status', change };
  const { object } = await deps.store.update(target.kind, target, update, context);
  const { uid, resourceVersion } = options.preconditions ?? {};
  if (uid === undefined && resourceVersion === undefined) return undefined;
  return { uid, ...(resourceVersion ? { resourceVersion: object.metadata.resourceVersion } : {}) };
}

/** A Pod that is over, goes already or never ran disrupts nobody. */
function goesWithoutAsking(pod: Pod): boolean {
  return isPodTerminal(pod) || !!pod.metadata.deletionTimestamp || pod.status?.phase === 'Pending';
}

async function spendBudget(
  deps: HandlerDeps & { budgetKind: ResourceKind },
  pod: Pod,
  context: WriteContext,
): Promise<void> {
  const budgets = await budgetsOf(deps, pod);
  const [budget] = budgets;
  if (!budget) return;
  if (budgets.length > 1) {
    throw new ApiError(
      'InternalError',
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    );
  }
  if (mayIgnore(budget, pod)) return;
  const change = (object: KubeObject): KubeObject => {
    take(object as unknown as PodDisruptionBudget, pod, context.now);
    return object;
  };
  const { namespace, name } = budget.metadata;
  const update = { strategy: STATUS_ONLY, subresource: 'status', change };
  try {
    await deps.store.update(deps.budgetKind, { namespace, name }, update, context);
  } catch (err) {
    if (!isNotFound(err)) throw err;
  }
}

async function budgetsOf(
  deps: HandlerDeps & { budgetKind: ResourceKind },
  pod: Pod,
): Promise<PodDisruptionBudget[]> {
  const cache = await deps.state.cache(deps.budgetKind);
  return cache
    .slice(pod.metadata.namespace)
    .map((entry) => parseObject(entry.served.bytes) as unknown as PodDisruptionBudget)
    .filter(({ spec }) => matches(fromLabelSelector(spec?.selector), pod.metadata.labels));
}

/** An unready Pod may go although nothing is to spare, if its budget says so or the budget is kept anyway. */
function mayIgnore({ spec, status }: PodDisruptionBudget, pod: Pod): boolean {
  const ready = pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True');
  if (ready) return false;
  if (spec?.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true;
  return (
    (status?.currentHealthy ?? 0) >= (status?.desiredHealthy ?? 0) &&
    (status?.desiredHealthy ?? 0) > 0
  );
}

function take(budget: PodDisruptionBudget, pod: Pod, now: number): void {
  const { metadata, status } = budget;
  if (!status || (status.observedGeneration ?? 0) < (metadata.generation ?? 0)) {
    throw refusal(
      `The disruption budget ${metadata.name} is still being processed by the server.`,
      10,
    );
  }
  const { disruptedPods = {}, disruptionsAllowed = 0 } = status;
  if (Object.keys(disruptedPods).length > MAX_DISRUPTED) {
    throw new ApiError(
      'Forbidden',
      'DisruptedPods map too big - too many evictions not confirmed by PDB controller',
    );
  }
  if (disruptionsAllowed <= 0) {
    throw refusal(
      `The disruption budget ${metadata.name} needs ${status.desiredHealthy} healthy pods and has ${status.currentHealthy} currently`,
    );
  }
  status.disruptionsAllowed = disruptionsAllowed - 1;
  status.disruptedPods = { ...disruptedPods, [pod.metadata.name]: timestamp(now) };
}

function refusal(cause: string, retryAfterSeconds?: number): ApiError {
  return new ApiError(
    'TooManyRequests',
    "Cannot evict pod as it would violate the pod's disruption budget.",
    {
      details: {
        causes: [{ reason: 'DisruptionBudget', message: cause }],
        ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
      },
    },
  );
}
