import { timeString } from '../api/times.ts';
import type { PodStatus } from '../api/types.ts';
import type { EventRecorder } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Admission } from './admission.ts';
import type { DeviceManager } from './devices/device-manager.ts';
import type { Pleg } from './pleg.ts';
import type { Failure, PodState } from './pod-state.ts';
import { computePodStatus, isFinal } from './pod-status.ts';
import type { PodSync } from './pod-sync.ts';
import type { PodStages } from './pod-workers.ts';
import type { ProbeManager } from './probes/probe-manager.ts';
import type { Allocations } from './resize/allocations.ts';
import type { Resizer } from './resize/resizer.ts';
import type { StatusManager } from './status-manager.ts';

export interface PodLifecycleDeps {
  sync: PodSync;
  pleg: Pleg;
  probes: ProbeManager;
  status: StatusManager;
  recorder: EventRecorder;
  clock: Clock;
  admission: Admission;
  allocations: Allocations;
  devices: DeviceManager;
  resizer: Resizer;
  hostIps(): readonly string[];
  runtimeName(): string;
  /** The pod uses no configuration objects and tokens any more. */
  forget(uid: string): void;
  fail(uid: string, failure: Failure): void;
}

/** The stages of a pod's life on the node, each ending with its status told. */
export class PodLifecycle implements PodStages {
  readonly #deps: PodLifecycleDeps;
  readonly #admitted = new Set<string>();

  constructor(deps: PodLifecycleDeps) {
    this.#deps = deps;
  }

  async sync(
    state: PodState,
    signal: AbortSignal,
  ): Promise<{ over: boolean; retryMs: number | undefined }> {
    const { sync, pleg, probes } = this.#deps;
    // Before the first word about it: a kubelet that was started again must not call a ready Pod unready.
    probes.follow(state.pod, pleg.get(state.uid));
    if (this.tell(state)) return { over: true, retryMs: undefined };
    if (!(await this.#admit(state, signal))) return { over: false, retryMs: undefined };
    this.#deps.resizer.consider(state);
    const deadline = this.#deadline(state);
    if (deadline !== undefined && deadline <= 0) {
      this.#exceeded(state);
      return { over: false, retryMs: undefined };
    }
    const wait = await sync.sync(state, signal);
    probes.follow(state.pod, pleg.get(state.uid));
    const over = this.tell(state);
    const waits = [wait, deadline].filter((w) => w !== undefined);
    return { over, retryMs: waits.length > 0 ? Math.min(...waits) : undefined };
  }

  async terminate(state: PodState, signal: AbortSignal): Promise<void> {
    const { sync, probes } = this.#deps;
    probes.stopLiveness(state.uid);
    this.tell(state);
    await sync.terminate(state, signal);
    probes.forget(state.uid);
    state.over = true;
    this.tell(state);
  }

  async finish(state: PodState, signal: AbortSignal): Promise<void> {
    await this.#deps.sync.cleanUp(state, false, signal);
    this.#deps.forget(state.uid);
    this.#deps.resizer.retryDeferred();
    this.tell(state);
  }

  async release(state: PodState, signal: AbortSignal): Promise<void> {
    const { sync, status } = this.#deps;
    // The status with the containers' ends is told before the record goes and the containers are forgotten.
    if (!state.removed) status.finish(state.pod);
    await sync.cleanUp(state, true, signal);
    this.#admitted.delete(state.uid);
    this.#deps.resizer.forget(state.uid);
    if (state.removed) status.forget(state.uid);
  }

  /** Computes and tells the status; answers whether the pod has ended for good. */
  tell(state: PodState): boolean {
    const { pleg, probes, status, hostIps, runtimeName, clock, allocations, resizer } = this.#deps;
    if (state.removed) return false;
    const { pod, failure } = state;
    const computed = computePodStatus({
      pod,
      runtime: pleg.get(state.uid),
      previous: status.get(pod),
      waiting: state.waiting,
      hostIps: hostIps(),
      now: clock.now(),
      isReady: (c) => probes.isReady(c),
      isStarted: (c) => probes.isStarted(c),
      runtimeName: runtimeName(),
      over: state.over,
      failed: failure,
      actuated: (name) => allocations.actuatedOf(state.uid, name),
      resize: resizer.stateOf(pod),
      restartingAll: state.restartingAll,
    });
    const told = failure?.disruption ? withDisruption(computed, failure, clock.now()) : computed;
    status.set(pod, told);
    return isFinal(told.phase);
  }

  /** A pod is admitted once; one that already ran here needs no second leave. */
  async #admit(state: PodState, signal: AbortSignal): Promise<boolean> {
    const { admission, pleg, recorder } = this.#deps;
    if (this.#admitted.has(state.uid)) return true;
    const known = pleg.get(state.uid).sandboxes.length > 0;
    const refusal = known
      ? undefined
      : (admission.refusal(state.pod) ?? (await this.#withoutDevices(state, signal)));
    if (refusal) {
      recorder.event(state.pod, 'Warning', refusal.reason, refusal.message);
      this.#deps.fail(state.uid, refusal);
      return false;
    }
    this.#admitted.add(state.uid);
    return true;
  }

  /** Why the pod does not get the devices that it asks for. */
  async #withoutDevices({ pod }: PodState, signal: AbortSignal): Promise<Failure | undefined> {
    const { devices } = this.#deps;
    if (!devices.wants(pod)) return undefined;
    try {
      await devices.allocate(pod, signal);
      return undefined;
    } catch (err) {
      signal.throwIfAborted();
      const message = `Pod was rejected: Allocate failed due to ${errorMessage(err)}, which is unexpected`;
      return { reason: 'UnexpectedAdmissionError', message };
    }
  }

  /** Milliseconds that activeDeadlineSeconds leaves. */
  #deadline({ pod }: PodState): number | undefined {
    const seconds = pod.spec?.activeDeadlineSeconds;
    const start = this.#deps.status.get(pod).startTime;
    if (seconds === undefined || start === undefined) return undefined;
    return Date.parse(start) + seconds * 1000 - this.#deps.clock.now();
  }

  #exceeded(state: PodState): void {
    const message = 'Pod was active on the node longer than the specified deadline';
    this.#deps.recorder.event(state.pod, 'Normal', 'DeadlineExceeded', message);
    this.#deps.fail(state.uid, { reason: 'DeadlineExceeded', message });
  }
}

function withDisruption(status: PodStatus, failure: Failure, now: number): PodStatus {
  const others = (status.conditions ?? []).filter((c) => c.type !== 'DisruptionTarget');
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'TerminationByKubelet',
    message: failure.message,
    lastTransitionTime: timeString(now),
  };
  const earlier = status.conditions?.find((c) => c.type === 'DisruptionTarget');
  return { ...status, conditions: [...others, earlier ?? condition] };
}
