import { isNotFound } from '../../api/errors.ts';
import { matches, parseSelector } from '../../api/labels.ts';
import {
  HORIZONTAL_POD_AUTOSCALERS,
  keyString,
  type ObjectKey,
  PODS,
} from '../../api/resource-types.ts';
import { timeString } from '../../api/times.ts';
import type { HorizontalPodAutoscaler, Pod } from '../../api/types.ts';
import type { EventRecorder, Informer } from '../../client/client.ts';
import { DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { keyOf } from '../../client/indexer.ts';
import { errorMessage } from '../../util/errors.ts';
import { jsonEqual } from '../../util/json.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { type Scale, Scales } from '../scales.ts';
import { unlessGone } from '../unless-gone.ts';
import { type Memory, normalize, noteScaling } from './behavior.ts';
import { Conditions } from './conditions.ts';
import { type Evaluation, evaluate, failureReason, type MetricStatus } from './evaluate.ts';
import { MetricsClient } from './metrics-client.ts';

const NAME = 'horizontal-pod-autoscaler';

type Spec = NonNullable<HorizontalPodAutoscaler['spec']>;

interface Deps extends Pick<ControllerContext, 'client' | 'clock' | 'options'> {
  readonly autoscalers: Informer<HorizontalPodAutoscaler>;
  readonly pods: Informer<Pod>;
  readonly events: EventRecorder;
}

export function horizontalPodAutoscaler(context: ControllerContext): Runnable {
  const { client, clock, options, informers } = context;
  const autoscalers = informers.get(HORIZONTAL_POD_AUTOSCALERS);
  const pods = informers.get(PODS);
  const deps = { client, clock, options, autoscalers, pods, events: context.events(NAME) };
  const reconciler = new Autoscaler(deps);
  const controller = newController(context, reconciler);
  autoscalers.addHandler({
    onAdd: (autoscaler) => controller.enqueue(keyOf(autoscaler)),
    onUpdate: (before, after) => {
      // Our own status is no reason to look again.
      if (!jsonEqual(before.spec, after.spec)) controller.enqueue(keyOf(after));
    },
    onDelete: (autoscaler) => reconciler.forget(keyOf(autoscaler)),
  });
  controller.needs(autoscalers);
  controller.needs(pods);
  return controller;
}

/** What one look has found out. */
interface Look {
  readonly autoscaler: HorizontalPodAutoscaler;
  readonly spec: Spec;
  readonly scale: Scale;
  readonly current: number;
  readonly conditions: Conditions;
  metrics: MetricStatus[];
}

interface Wish {
  readonly replicas: number;
  readonly reason: string;
}

/**
 * Sets how many replicas a target has by what is measured of it, every sync period: metrics cannot be watched.
 * https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#algorithm-details
 */
class Autoscaler implements Reconciler {
  readonly name = 'horizontal-pod-autoscaler-controller';
  readonly #deps: Deps;
  readonly #scales: Scales;
  readonly #metrics: MetricsClient;
  readonly #memory = new Map<string, Memory>();

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#scales = new Scales(deps.client);
    this.#metrics = new MetricsClient(deps.client);
  }

  forget(key: string): void {
    this.#memory.delete(key);
  }

  async reconcile(key: ObjectKey): Promise<Result> {
    const { autoscalers, clock, options } = this.#deps;
    const autoscaler = autoscalers.get(key);
    if (!autoscaler?.spec) return DONE;
    const conditions = new Conditions(autoscaler.status?.conditions ?? [], clock.now());
    const { spec } = autoscaler;
    const scale = await this.#scaleOf(autoscaler, spec, conditions);
    if (scale) {
      const current = scale.spec?.replicas ?? 0;
      const known = autoscaler.status?.currentMetrics ?? [];
      await this.#act({ autoscaler, spec, scale, current, conditions, metrics: known });
    }
    return { requeueAfterMs: options.hpaSyncPeriodMs };
  }

  async #scaleOf(
    autoscaler: HorizontalPodAutoscaler,
    spec: Spec,
    conditions: Conditions,
  ): Promise<Scale | undefined> {
    const reason = 'FailedGetScale';
    try {
      const scale = await this.#scales.get(autoscaler.metadata.namespace, spec.scaleTargetRef);
      const message = "the HPA controller was able to get the target's current scale";
      conditions.set('AbleToScale', true, { reason: 'SucceededGetScale', message });
      return scale;
    } catch (err) {
      const { kind, name } = spec.scaleTargetRef;
      const text = isNotFound(err) ? `${kind} "${name}" not found` : errorMessage(err);
      this.#deps.events.event(autoscaler, 'Warning', reason, text);
      const message = `the HPA controller was unable to get the target's current scale: ${text}`;
      conditions.set('AbleToScale', false, { reason, message });
      await this.#write(autoscaler, { ...autoscaler.status, conditions: conditions.list });
      return undefined;
    }
  }

  async #act(look: Look): Promise<void> {
    const { spec, current, conditions } = look;
    const { minReplicas: min = 1, maxReplicas: max } = spec;
    const memory = this.#memoryOf(look);
    if (current === 0 && min !== 0) {
      const message = 'scaling is disabled since the replica count of the target is zero';
      conditions.set('ScalingActive', false, { reason: 'ScalingDisabled', message });
      return this.#finish(look, 0);
    }
    if (current > max) {
      const reason = 'Current number of replicas above Spec.MaxReplicas';
      return this.#rescale(look, { replicas: max, reason }, memory);
    }
    if (current < min) {
      const reason = 'Current number of replicas below Spec.MinReplicas';
      return this.#rescale(look, { replicas: min, reason }, memory);
    }
    const wish = await this.#askMetrics(look);
    if (!wish) return this.#finish(look, look.autoscaler.status?.desiredReplicas ?? 0);
    const decision = normalize(wish.replicas, { current, min, max }, spec.behavior, {
      memory,
      now: this.#deps.clock.now(),
      downWindowMs: this.#deps.options.hpaDownscaleStabilizationMs,
    });
    conditions.set('AbleToScale', true, decision.stabilization);
    conditions.set('ScalingLimited', decision.limit.limited, decision.limit);
    const { replicas } = decision;
    if (replicas === current) return this.#finish(look, replicas);
    return this.#rescale(look, { replicas, reason: wish.reason }, memory);
  }

  #memoryOf({ autoscaler, current }: Look): Memory {
    const key = keyString(autoscaler.metadata);
    let memory = this.#memory.get(key);
    if (!memory) {
      // A manager that has just started must not shrink what it has not seen being busy.
      const recommendations = [{ at: this.#deps.clock.now(), replicas: current }];
      memory = { recommendations, ups: [], downs: [] };
      this.#memory.set(key, memory);
    }
    return memory;
  }

  /** The most that any metric asks for. Undefined: too little is known to do anything. */
  async #askMetrics(look: Look): Promise<Wish | undefined> {
    const { conditions, autoscaler, spec, current } = look;
    const { events } = this.#deps;
    const selector = look.scale.status?.selector ?? '';
    if (selector === '') {
      const message = "the HPA target's scale is missing a selector";
      conditions.set('ScalingActive', false, { reason: 'InvalidSelector', message });
      events.event(autoscaler, 'Warning', 'SelectorRequired', 'selector is required');
      return undefined;
    }
    const { found, failures, statuses } = await this.#evaluateAll(look, selector);
    const most = found.toSorted((a, b) => b.replicas - a.replicas)[0];
    const [failure] = failures;
    look.metrics = statuses;
    if (!most || (failure && most.replicas < current)) {
      const { reason = '', message = '' } = failure ?? {};
      const text = `the HPA was unable to compute the replica count: ${message}`;
      conditions.set('ScalingActive', false, { reason, message: text });
      const summary = `invalid metrics (${failures.length} invalid out of ${spec.metrics?.length ?? 0}), first error is: ${message}`;
      events.event(autoscaler, 'Warning', 'FailedComputeMetricsReplicas', summary);
      look.metrics = autoscaler.status?.currentMetrics ?? [];
      return undefined;
    }
    const message = `the HPA was able to successfully calculate a replica count from ${most.name}`;
    conditions.set('ScalingActive', true, { reason: 'ValidMetricFound', message });
    const reason =
      most.replicas > current ? `${most.name} above target` : 'All metrics below target';
    return { replicas: most.replicas, reason };
  }

  async #evaluateAll(look: Look, selector: string) {
    const { autoscaler, spec, scale, current } = look;
    const { pods, clock, options, events } = this.#deps;
    const { namespace } = autoscaler.metadata;
    const chosen = parseSelector(selector);
    const usual = options.hpaTolerance;
    const toleranceOf = (text: string | undefined) =>
      text === undefined
        ? usual
        : Number(text.endsWith('m') ? Number(text.slice(0, -1)) / 1000 : text);
    const world = {
      ...{ namespace, selector, now: clock.now() },
      pods: pods.list(namespace).filter((pod) => matches(chosen, pod.metadata.labels)),
      specReplicas: current,
      statusReplicas: scale.status?.replicas ?? 0,
      tolerance: {
        up: toleranceOf(spec.behavior?.scaleUp?.tolerance),
        down: toleranceOf(spec.behavior?.scaleDown?.tolerance),
      },
      options: {
        cpuInitializationMs: options.hpaCpuInitializationMs,
        initialReadinessMs: options.hpaInitialReadinessMs,
      },
      pluralOf: (about: { apiVersion?: string | undefined; kind: string }) =>
        this.#scales.pluralOf(about),
    };
    const found: Evaluation[] = [];
    const failures: { reason: string; message: string }[] = [];
    const statuses: MetricStatus[] = [];
    for (const metric of spec.metrics ?? []) {
      try {
        if (world.pods.length === 0 && metric.type !== 'Object' && metric.type !== 'External') {
          throw new Error('no pods returned by selector while calculating replica count');
        }
        const evaluation = await evaluate(metric, this.#metrics, world);
        found.push(evaluation);
        statuses.push(evaluation.status);
      } catch (err) {
        const failure = { reason: failureReason(metric), message: errorMessage(err) };
        failures.push(failure);
        events.event(autoscaler, 'Warning', failure.reason, failure.message);
        statuses.push({ type: '' });
      }
    }
    return { found, failures, statuses };
  }

  async #rescale(look: Look, { replicas, reason }: Wish, memory: Memory): Promise<void> {
    const { autoscaler, spec, scale, current, conditions } = look;
    const { events, clock } = this.#deps;
    const size = `New size: ${replicas}; reason: ${reason}`;
    try {
      const { namespace } = autoscaler.metadata;
      await this.#scales.set(namespace, spec.scaleTargetRef, { scale, replicas });
    } catch (err) {
      const text = errorMessage(err);
      events.event(autoscaler, 'Warning', 'FailedRescale', `${size}; error: ${text}`);
      const message = `the HPA controller was unable to update the target scale: ${text}`;
      conditions.set('AbleToScale', false, { reason: 'FailedUpdateScale', message });
      await this.#finish(look, autoscaler.status?.desiredReplicas ?? 0);
      throw new Error(`Failed to rescale ${spec.scaleTargetRef.name}: ${text}`, { cause: err });
    }
    const message = `the HPA controller was able to update the target scale to ${replicas}`;
    conditions.set('AbleToScale', true, { reason: 'SucceededRescale', message });
    events.event(autoscaler, 'Normal', 'SuccessfulRescale', size);
    noteScaling(memory, { from: current, to: replicas }, spec.behavior, clock.now());
    await this.#finish(look, replicas, timeString(clock.now()));
  }

  async #finish(look: Look, desiredReplicas: number, scaledAt?: string): Promise<void> {
    const { autoscaler, current, conditions, metrics } = look;
    const lastScaleTime = scaledAt ?? autoscaler.status?.lastScaleTime;
    await this.#write(autoscaler, {
      currentReplicas: current,
      desiredReplicas,
      ...(lastScaleTime ? { lastScaleTime } : {}),
      ...(metrics.length > 0 ? { currentMetrics: metrics } : {}),
      conditions: conditions.list,
    });
  }

  async #write(autoscaler: HorizontalPodAutoscaler, status: object): Promise<void> {
    if (jsonEqual(autoscaler.status, status)) return;
    const changed = { ...autoscaler, status } as HorizontalPodAutoscaler;
    const how = { subresource: 'status' };
    await unlessGone(this.#deps.client.update(HORIZONTAL_POD_AUTOSCALERS, changed, how));
  }
}
