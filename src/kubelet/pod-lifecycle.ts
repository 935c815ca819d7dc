import { timeString } from '../api/times.ts';
import type { Pod, PodStatus } from '../api/types.ts';
import type { EventRecorder } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Rush } from '../util/rush.ts';
import { type Admission, isAboutNode } from './admission.ts';
import type { DeviceManager } from './devices/device-manager.ts';
import type { Pleg } from './pleg.ts';
import type { Failure, PodState } from './pod-state.ts';
import { computePodStatus, isFinal, phaseOf } from './pod-status.ts';
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
  rush: Rush;
  hostIps(): readonly string[];
  runtimeName(): string;
  /** The pod uses no configuration objects and tokens any more. */
  forget(uid: string): void;
  fail(uid: string, failure: Failure): void;
  /** Asks the API what the node is now. */
  refreshNode(): Promise<void>;
}

// Upstream looks at its containers once a second and tells what it sees then: a sandbox and the containers that
// started in it within that time are told of together.
const TELL_SOON_MS = 1000;
// Where many are started at once, upstream's turn to write comes later, too: it tells of one pod after the other.
const TELL_SOON_RUSH_MS = 3000;
// That a pod is here is told at once for a reader; a burst of pods is known as one by then.
const ACKNOWLEDGE_MS = 100;
// Until those that were ended for a critical pod are gone.
const ROOM_RETRY_MS = 500;

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
    if (this.#acknowledge(state)) return { over: true, retryMs: undefined };
    const leave = await this.#admit(state, signal);
    if (leave !== 'admitted') {
      return { over: false, retryMs: leave === 'later' ? ROOM_RETRY_MS : undefined };
    }
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
    const { sync, probes, recorder } = this.#deps;
    probes.stopLiveness(state.uid);
    this.tell(state);
    try {
      await sync.terminate(state, signal);
    } catch (err) {
      signal.throwIfAborted();
      const message = `error killing pod: ${errorMessage(err)}`;
      recorder.event(state.pod, 'Warning', 'FailedKillPod', message);
      throw err;
    }
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
    if (state.removed) return false;
    const told = this.#statusOf(state);
    this.#deps.status.set(state.pod, told);
    const { initContainerStatuses = [], containerStatuses = [] } = told;
    // A sidecar that still runs keeps the end from being told, not from coming.
    return isFinal(told.phase) || isFinal(phaseOf(state, initContainerStatuses, containerStatuses));
  }

  /** Tells what the status is now, unless there is more to tell in a moment. */
  tellSoon(state: PodState): void {
    this.#tellWithin(state, TELL_SOON_MS);
  }

  #tellWithin(state: PodState, withinMs: number): void {
    if (state.removed) return;
    const { status, rush } = this.#deps;
    // A container whose hook runs by then does not count as running yet, though the runtime shows it.
    const told = this.#statusOf(state);
    status.setSoon(state.pod, told, () => (rush.isOn ? TELL_SOON_RUSH_MS : withinMs));
  }

  /** The first word about a pod is that it is here; where many are started at once, the second one says so as well. */
  #acknowledge(state: PodState): boolean {
    const isNew = this.#deps.status.get(state.pod).startTime === undefined && !state.failure;
    if (!isNew) return this.tell(state);
    this.#tellWithin(state, ACKNOWLEDGE_MS);
    return false;
  }

  #statusOf(state: PodState): PodStatus {
    const { pleg, probes, status, hostIps, runtimeName, clock, allocations, resizer } = this.#deps;
    const { pod, failure } = state;
    const runtime = pleg.get(state.uid);
    const computed = computePodStatus({
      pod,
      runtime,
      mayRun: runtime.containers.some((c) => c.state === 'running' || c.state === 'unknown'),
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
      actuatedPod: allocations.actuatedOfPod(state.uid),
      resize: resizer.stateOf(pod),
      restartingAll: state.restartingAll,
    });
    const disrupted = failure?.disruption === true && isFinal(computed.phase);
    return disrupted ? withDisruption(computed, failure, clock.now()) : computed;
  }

  /** A pod is admitted once; one that already ran here needs no second leave. */
  async #admit(state: PodState, signal: AbortSignal): Promise<'admitted' | 'refused' | 'later'> {
    const { recorder, admission } = this.#deps;
    const { uid, pod } = state;
    if (this.isAdmitted(uid)) {
      this.#admitted.add(uid);
      return 'admitted';
    }
    await this.#refreshNode(pod);
    let refusal = admission.refusal(pod);
    if (refusal && this.#preempt(pod)) return 'later';
    if (!refusal) {
      // Before anything is waited for: what is given to this pod is given to no other one.
      this.#admitted.add(uid);
      refusal = await this.#withoutDevices(state, signal);
      if (!refusal) return 'admitted';
      this.#admitted.delete(uid);
    }
    recorder.event(pod, 'Warning', refusal.reason, refusal.message);
    this.#deps.fail(uid, refusal);
    return 'refused';
  }

  /** Whether the pod holds resources of the node. */
  isAdmitted(uid: string): boolean {
    return this.#admitted.has(uid) || this.#deps.pleg.get(uid).sandboxes.length > 0;
  }

  /** A node that was labelled or tainted a moment ago may not be known so yet. */
  async #refreshNode(pod: Pod): Promise<void> {
    const { admission, refreshNode } = this.#deps;
    const refusal = admission.refusal(pod);
    if (refusal && isAboutNode(refusal)) await refreshNode().catch(() => {});
  }

  /** Ends others so that a critical pod has room; answers whether there will be. */
  #preempt(pod: Pod): boolean {
    const { admission, recorder, fail } = this.#deps;
    const victims = admission.victims(pod);
    const message = 'Preempted in order to admit critical pod';
    for (const victim of victims ?? []) {
      recorder.event(victim, 'Warning', 'Preempting', message);
      fail(victim.metadata.uid, { reason: 'Preempting', message, disruption: true });
    }
    return victims !== undefined;
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
