import { isSidecar } from '../api/pods.ts';
import { timeString } from '../api/times.ts';
import type { ContainerStatus, Pod, PodStatus } from '../api/types.ts';
import type { ContainerStatusInputs } from './container-status.ts';
import { containersOf, initContainersOf, isHostNetwork } from './names.ts';
import type { Resources } from './resize/container-resources.ts';
import type { ResizeState } from './resize/resizer.ts';

export interface PodStatusInputs extends ContainerStatusInputs {
  /** The status that was told last; times and earlier ends are carried over. */
  previous: PodStatus;
  hostIps: readonly string[];
  now: number;
  /** A container runs, or is not known not to: an end that is certain is not told yet. */
  mayRun: boolean;
  resize: ResizeState;
  /** What the pod's own group has, where the pod as a whole asks for resources. */
  actuatedPod?: Resources | undefined;
  /** All containers are being restarted by a rule. */
  restartingAll: boolean;
  /** Eviction, admission or deadline: the pod has failed whatever its containers say. */
  failed?: { reason: string; message: string } | undefined;
}

export type Phase = 'Pending' | 'Running' | 'Succeeded' | 'Failed';

type Condition = NonNullable<PodStatus['conditions']>[number];

/** A condition before its times are filled in. */
interface Verdict {
  type: string;
  status: 'True' | 'False';
  reason?: string;
  message?: string;
}

/** The condition types that the kubelet owns; it leaves all others of a pod alone. */
export const KUBELET_CONDITIONS: ReadonlySet<string> = new Set([
  'PodScheduled',
  'PodReadyToStartContainers',
  'Initialized',
  'Ready',
  'ContainersReady',
  'PodResizePending',
  'PodResizeInProgress',
  'AllContainersRestarting',
]);

interface Given {
  inputs: PodStatusInputs;
  phase: Phase;
  initStatuses: readonly ContainerStatus[];
  statuses: readonly ContainerStatus[];
}

/** All conditions of the pod: ours anew, those of others as they were. */
export function podConditions(given: Given): Condition[] {
  const { pod, previous, now } = given.inputs;
  const before = previous.conditions ?? [];
  const containersReady = containersReadyOf(given);
  const verdicts: Verdict[] = [
    readyToStart(given),
    initialized(given),
    ready(pod, containersReady, before),
    containersReady,
    { type: 'PodScheduled', status: 'True' },
    ...resizing(given),
    ...restartingAll(given),
  ];
  const ours = verdicts.map((verdict) => withTimes(verdict, { before, pod, now }));
  return [...ours, ...before.filter((c) => !KUBELET_CONDITIONS.has(c.type))];
}

function withTimes(
  verdict: Verdict,
  { before, pod, now }: { before: readonly Condition[]; pod: Pod; now: number },
): Condition {
  const earlier = before.find((c) => c.type === verdict.type);
  const unchanged = earlier?.status === verdict.status;
  return {
    ...(pod.metadata.generation === undefined
      ? {}
      : { observedGeneration: pod.metadata.generation }),
    ...verdict,
    lastTransitionTime: (unchanged && earlier?.lastTransitionTime) || timeString(now),
  };
}

/** Conditions that are there only while a resize is (KEP-1287). */
function resizing({ inputs: { resize }, phase }: Given): Verdict[] {
  if (phase === 'Succeeded' || phase === 'Failed') return [];
  const verdicts: Verdict[] = [];
  const { pending, progress } = resize;
  if (pending) verdicts.push({ type: 'PodResizePending', status: 'True', ...pending });
  if (progress) {
    const error = progress.error === undefined ? {} : { reason: 'Error', message: progress.error };
    verdicts.push({ type: 'PodResizeInProgress', status: 'True', ...error });
  }
  return verdicts;
}

function restartingAll({ inputs: { restartingAll: now }, phase }: Given): Verdict[] {
  const goesOn = now && phase !== 'Succeeded' && phase !== 'Failed';
  return goesOn ? [{ type: 'AllContainersRestarting', status: 'True' }] : [];
}

function readyToStart({ inputs: { pod, runtime }, phase }: Given): Verdict {
  const sandbox = runtime.sandboxes[0];
  const hasNetwork = isHostNetwork(pod) || (sandbox?.ips.length ?? 0) > 0;
  const up = sandbox?.ready === true && hasNetwork && phase !== 'Succeeded' && phase !== 'Failed';
  return { type: 'PodReadyToStartContainers', status: up ? 'True' : 'False' };
}

function initialized({ inputs: { pod }, phase, initStatuses, statuses }: Given): Verdict {
  const type = 'Initialized';
  if (phase === 'Succeeded') return { type, status: 'True', reason: 'PodCompleted' };
  const everStarted = statuses.some(
    (s) => s.state?.running || s.state?.terminated || s.lastState?.terminated,
  );
  const incomplete = initContainersOf(pod).filter((spec) => {
    const status = initStatuses.find((s) => s.name === spec.name);
    if (isSidecar(spec)) return status?.started !== true;
    return status?.ready !== true;
  });
  const plain = incomplete.filter((spec) => !isSidecar(spec));
  if (incomplete.length === 0 || (everStarted && plain.length === 0)) {
    return { type, status: 'True' };
  }
  return {
    type,
    status: 'False',
    reason: 'ContainersNotInitialized',
    message: `containers with incomplete status: ${bracketed(incomplete)}`,
  };
}

const bracketed = (containers: readonly { name: string }[]): string =>
  `[${containers.map((c) => c.name).join(' ')}]`;

function containersReadyOf({ inputs: { pod }, phase, initStatuses, statuses }: Given): Verdict {
  const type = 'ContainersReady';
  if (phase === 'Succeeded') return { type, status: 'False', reason: 'PodCompleted' };
  if (phase === 'Failed') return { type, status: 'False', reason: 'PodFailed' };
  const all = [...initStatuses, ...statuses];
  const counted = [...initContainersOf(pod).filter(isSidecar), ...containersOf(pod)];
  const unready = counted.filter((spec) => !all.find((s) => s.name === spec.name)?.ready);
  if (unready.length === 0) return { type, status: 'True' };
  return {
    type,
    status: 'False',
    reason: 'ContainersNotReady',
    message: `containers with unready status: ${bracketed(unready)}`,
  };
}

/** Ready is ContainersReady and every readiness gate (KEP-580). */
function ready(pod: Pod, containersReady: Verdict, before: readonly Condition[]): Verdict {
  if (containersReady.status === 'False') return { ...containersReady, type: 'Ready' };
  const messages: string[] = [];
  for (const { conditionType } of pod.spec?.readinessGates ?? []) {
    const found = (pod.status?.conditions ?? before).find((c) => c.type === conditionType);
    if (!found) {
      messages.push(
        `corresponding condition of pod readiness gate "${conditionType}" does not exist.`,
      );
    } else if (found.status !== 'True') {
      messages.push(
        `the status of pod readiness gate "${conditionType}" is not "True", but ${found.status}`,
      );
    }
  }
  if (messages.length === 0) return { type: 'Ready', status: 'True' };
  return {
    type: 'Ready',
    status: 'False',
    reason: 'ReadinessGatesNotReady',
    message: messages.join(', '),
  };
}
