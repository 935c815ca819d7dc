import { isSidecar, qosClassOf } from '../api/pods.ts';
import { timeString } from '../api/times.ts';
import type { ContainerStatus, Pod, PodStatus } from '../api/types.ts';
import { containerStatuses } from './container-status.ts';
import {
  allContainersOf,
  containersOf,
  ephemeralContainersOf,
  initContainersOf,
  isHostNetwork,
} from './names.ts';
import { type Phase, type PodStatusInputs, podConditions } from './pod-conditions.ts';
import { restartsAfter } from './restart-policy.ts';

/** The pod's status as its containers are now. Pure. */
export function computePodStatus(inputs: PodStatusInputs): PodStatus {
  const { pod, previous, failed } = inputs;
  const all = allContainersOf(pod).length;
  const limited = (statuses: ContainerStatus[]): ContainerStatus[] =>
    statuses.map((status) => withShortMessages(status, Math.floor(MAX_MESSAGES / all)));
  const initStatuses = containerStatuses(
    initContainersOf(pod),
    previous.initContainerStatuses,
    inputs,
  );
  const statuses = containerStatuses(containersOf(pod), previous.containerStatuses, inputs);
  const ephemeral = containerStatuses(
    ephemeralContainersOf(pod),
    previous.ephemeralContainerStatuses,
    inputs,
  );
  const computed = failed ? 'Failed' : phaseOf(inputs, initStatuses, statuses);
  const phase = stickyPhase(inputs, computed);
  const words = failed && isFinal(phase) ? failed : lastWords(inputs, phase);
  return {
    phase,
    ...(words.reason ? { reason: words.reason } : {}),
    ...(words.message ? { message: words.message } : {}),
    conditions: podConditions({ inputs, phase, initStatuses, statuses }),
    ...addresses(inputs),
    startTime: previous.startTime ?? timeString(inputs.now),
    ...(initStatuses.length > 0 ? { initContainerStatuses: limited(initStatuses) } : {}),
    containerStatuses: limited(statuses),
    ...(ephemeral.length > 0 ? { ephemeralContainerStatuses: limited(ephemeral) } : {}),
    ...ownResources(inputs),
    qosClass: previous.qosClass ?? (pod.spec && qosClassOf(pod.spec)),
    ...(pod.metadata.generation === undefined
      ? {}
      : { observedGeneration: pod.metadata.generation }),
  };
}

/** Of a pod that asks for resources as a whole. */
function ownResources({ pod, actuatedPod }: PodStatusInputs): Partial<PodStatus> {
  const allocated = pod.spec?.resources;
  if (!allocated) return {};
  return {
    ...(allocated.requests ? { allocatedResources: allocated.requests } : {}),
    resources: actuatedPod ?? allocated,
  };
}

// Bytes that the termination messages of a pod may take together.
const MAX_MESSAGES = 12_288;

function withShortMessages(status: ContainerStatus, bytes: number): ContainerStatus {
  const short = (state: ContainerStatus['state']): ContainerStatus['state'] => {
    const ended = state?.terminated;
    if (!ended?.message || Buffer.byteLength(ended.message) <= bytes) return state;
    const message = Buffer.from(ended.message).subarray(0, bytes).toString('utf8');
    return { terminated: { ...ended, message } };
  };
  const [state, lastState] = [short(status.state), short(status.lastState)];
  return { ...status, ...(state ? { state } : {}), ...(lastState ? { lastState } : {}) };
}

/** Reason and message stay with their phase; those that somebody else wrote, too. */
function lastWords(
  { previous, pod }: PodStatusInputs,
  phase: Phase,
): { reason?: string | undefined; message?: string | undefined } {
  const told = [previous, pod.status ?? {}].filter((status) => status.phase === phase);
  return {
    reason: told.find(({ reason }) => reason)?.reason,
    message: told.find(({ message }) => message)?.message,
  };
}

export function isFinal(phase: string | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

/**
 * Nothing leads out of Succeeded or Failed, whoever wrote it; and neither is told while a container may still run:
 * whoever waits for the end of the pod takes its place.
 */
function stickyPhase({ previous, pod, mayRun }: PodStatusInputs, now: Phase): Phase {
  const ended = [previous.phase, pod.status?.phase].find(isFinal);
  if (ended !== undefined) return ended as Phase;
  return isFinal(now) && mayRun ? ((previous.phase ?? 'Pending') as Phase) : now;
}

/** The phase by upstream's rules (getPhase). */
export function phaseOf(
  { pod, over }: Pick<PodStatusInputs, 'pod' | 'over'>,
  initStatuses: readonly ContainerStatus[],
  statuses: readonly ContainerStatus[],
): Phase {
  const init = initTally(pod, initStatuses);
  if (init.failed) return 'Failed';
  const regular = tally(pod, statuses);
  const anyEverRan =
    regular.running + regular.stopped > 0 || statuses.some((s) => s.lastState?.terminated);
  if (init.unfinished || (init.sidecarNotStarted && !anyEverRan)) return 'Pending';
  if (regular.waiting > 0) return 'Pending';
  if (regular.running > 0) return 'Running';
  if (regular.stopped === 0) return 'Pending';
  const result: Phase = regular.succeeded === regular.stopped ? 'Succeeded' : 'Failed';
  if (over || pod.metadata.deletionTimestamp !== undefined) return result;
  return regular.restarting > 0 ? 'Running' : result;
}

function initTally(
  pod: Pod,
  statuses: readonly ContainerStatus[],
): { failed: boolean; unfinished: boolean; sidecarNotStarted: boolean } {
  const tallied = { failed: false, unfinished: false, sidecarNotStarted: false };
  for (const spec of initContainersOf(pod)) {
    const status = statuses.find((s) => s.name === spec.name);
    if (isSidecar(spec)) {
      if (status?.started !== true) tallied.sidecarNotStarted = true;
      continue;
    }
    const ended =
      status?.state?.terminated ??
      (status?.state?.waiting ? status.lastState?.terminated : undefined);
    if (status?.state?.terminated?.exitCode === 0) continue;
    if (ended && ended.exitCode !== 0 && !restartsAfter(pod, spec, ended.exitCode))
      tallied.failed = true;
    else tallied.unfinished = true;
  }
  return tallied;
}

function tally(
  pod: Pod,
  statuses: readonly ContainerStatus[],
): { running: number; waiting: number; stopped: number; succeeded: number; restarting: number } {
  const count = { running: 0, waiting: 0, stopped: 0, succeeded: 0, restarting: 0 };
  for (const spec of containersOf(pod)) {
    const status = statuses.find((s) => s.name === spec.name);
    if (status?.state?.running) {
      count.running++;
      continue;
    }
    // Waiting to be restarted is still "stopped" to the phase: the pod did run.
    const ended = status?.state?.terminated ?? status?.lastState?.terminated;
    if (!ended) {
      count.waiting++;
      continue;
    }
    count.stopped++;
    if (ended.exitCode === 0) count.succeeded++;
    if (restartsAfter(pod, spec, ended.exitCode)) count.restarting++;
  }
  return count;
}

function addresses({ pod, runtime, hostIps, previous }: PodStatusInputs): Partial<PodStatus> {
  const hostIP = hostIps[0];
  const host = hostIP ? { hostIP, hostIPs: hostIps.map((ip) => ({ ip })) } : {};
  const own = isHostNetwork(pod) ? hostIps : (runtime.sandboxes[0]?.ips ?? []);
  const ips = own.length > 0 ? own : (previous.podIPs ?? []).map((p) => p.ip);
  const podIP = ips[0];
  return podIP ? { ...host, podIP, podIPs: ips.map((ip) => ({ ip })) } : host;
}
