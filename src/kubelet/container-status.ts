import { isSidecar } from '../api/pods.ts';
import { timeString } from '../api/times.ts';
import type { Container, ContainerStatus, Pod } from '../api/types.ts';
import { initContainersOf } from './names.ts';
import { restartsAfter } from './restart-policy.ts';
import type { RuntimeContainer, RuntimePod } from './runtime-pod.ts';

/** Why a container does not run: `ErrImagePull`, `CrashLoopBackOff`… */
export interface WaitingReason {
  readonly reason: string;
  readonly message: string;
}

export interface ContainerStatusInputs {
  pod: Pod;
  runtime: RuntimePod;
  /** What the last sync found, by container name. */
  waiting: ReadonlyMap<string, WaitingReason>;
  /** Readiness and start as probes see them. */
  isReady(container: RuntimeContainer): boolean;
  isStarted(container: RuntimeContainer): boolean;
  /** `containerd`: the scheme of container ids. */
  runtimeName: string;
  /** The pod will run no container again. */
  over: boolean;
  /** What the container was last given, when that is known; its spec says what is allocated to it. */
  actuated(name: string): Container['resources'];
}

type State = NonNullable<ContainerStatus['state']>;

/** Status of each of the containers, in their order. Pure. */
export function containerStatuses(
  containers: readonly Container[],
  previous: readonly ContainerStatus[] | undefined,
  inputs: ContainerStatusInputs,
): ContainerStatus[] {
  return containers.map((spec) => {
    const before = previous?.find((s) => s.name === spec.name);
    return containerStatus(spec, before, inputs);
  });
}

function containerStatus(
  spec: Container,
  before: ContainerStatus | undefined,
  inputs: ContainerStatusInputs,
): ContainerStatus {
  const runs = inputs.runtime.containers.filter((c) => c.name === spec.name);
  const newest = runs[0];
  const status: ContainerStatus = newest
    ? fromRuntime(spec, newest, inputs)
    : withoutRuntime(spec, before, inputs);
  const earlier = runs.slice(1).find((c) => c.state === 'exited');
  if (earlier) status.lastState = { terminated: terminated(earlier, inputs.runtimeName) };
  applyWaiting(spec, status, inputs);
  // The runtime forgets earlier runs; what the API already told stays told.
  if (!hasState(status.lastState) && hasState(before?.lastState) && newest?.attempt !== 0) {
    status.lastState = before?.lastState ?? {};
  }
  return status;
}

const hasState = (state: State | undefined): boolean =>
  state !== undefined && Object.keys(state).length > 0;

function fromRuntime(
  spec: Container,
  container: RuntimeContainer,
  inputs: ContainerStatusInputs,
): ContainerStatus {
  const { pod, runtimeName } = inputs;
  const running = container.state === 'running';
  const isInit = initContainersOf(pod).some((c) => c.name === spec.name);
  const started = running && inputs.isStarted(container);
  const finished = container.state === 'exited' && container.exitCode === 0;
  const ready = isInit && !isSidecar(spec) ? finished : running && inputs.isReady(container);
  return {
    name: spec.name,
    state: stateOf(container, runtimeName),
    lastState: {},
    ready,
    restartCount: container.attempt,
    image: container.image || (spec.image ?? ''),
    imageID: container.imageId,
    containerID: `${runtimeName}://${container.id}`,
    started: isInit && !isSidecar(spec) ? running : started,
    ...(running ? inUse(spec, container, inputs) : {}),
    ...mountsOf(spec),
  };
}

/** What a running container has been given. */
function inUse(
  spec: Container,
  container: RuntimeContainer,
  { actuated }: ContainerStatusInputs,
): Partial<ContainerStatus> {
  const { requests, limits } = actuated(spec.name) ?? spec.resources ?? {};
  const allocated = spec.resources?.requests;
  return {
    ...(allocated ? { allocatedResources: allocated } : {}),
    resources: { ...(limits ? { limits } : {}), ...(requests ? { requests } : {}) },
    ...(container.user ? { user: { linux: container.user } } : {}),
  };
}

function mountsOf(spec: Container): Partial<ContainerStatus> {
  if (!spec.volumeMounts?.length) return {};
  return {
    volumeMounts: spec.volumeMounts.map((m) => ({
      name: m.name,
      mountPath: m.mountPath,
      ...(m.readOnly ? { readOnly: true, recursiveReadOnly: recursive(m.recursiveReadOnly) } : {}),
    })),
  };
}

const recursive = (mode: string | undefined): string =>
  mode === undefined ? 'Disabled' : mode === 'IfPossible' ? 'Disabled' : mode;

function stateOf(container: RuntimeContainer, runtimeName: string): State {
  if (container.state === 'running') {
    return { running: { startedAt: timeString(container.startedAt) } };
  }
  if (container.state === 'exited') return { terminated: terminated(container, runtimeName) };
  return { waiting: { reason: 'ContainerCreating' } };
}

function terminated(
  container: RuntimeContainer,
  runtimeName: string,
): NonNullable<State['terminated']> {
  const { startedAt, finishedAt, createdAt } = container;
  return {
    exitCode: container.exitCode,
    reason: container.reason || (container.exitCode === 0 ? 'Completed' : 'Error'),
    ...(container.message === '' ? {} : { message: container.message }),
    startedAt: timeString(startedAt || createdAt),
    finishedAt: timeString(finishedAt || startedAt || createdAt),
    containerID: `${runtimeName}://${container.id}`,
  };
}

/** The runtime knows nothing of it: not created yet, or its record was lost. */
function withoutRuntime(
  spec: Container,
  before: ContainerStatus | undefined,
  { pod, over }: ContainerStatusInputs,
): ContainerStatus {
  const reason = initContainersOf(pod).length > 0 ? 'PodInitializing' : 'ContainerCreating';
  const status: ContainerStatus = {
    name: spec.name,
    state: { waiting: { reason } },
    lastState: {},
    ready: false,
    restartCount: before?.restartCount ?? 0,
    image: spec.image ?? '',
    imageID: '',
    started: false,
    ...mountsOf(spec),
  };
  if (before?.state?.terminated)
    return { ...before, ready: before.ready && isCompletedInit(pod, spec) };
  if (before?.state?.running || (over && before?.containerID)) {
    const lost = {
      exitCode: 137,
      reason: 'ContainerStatusUnknown',
      message: LOST_MESSAGE,
      ...(before.containerID ? { containerID: before.containerID } : {}),
    };
    if (over) return { ...before, state: { terminated: lost }, ready: false, started: false };
    status.lastState = { terminated: lost };
    status.restartCount += 1;
  }
  return status;
}

const LOST_MESSAGE =
  'The container could not be located when the pod was deleted.  The container used to be Running';

function isCompletedInit(pod: Pod, spec: Container): boolean {
  return initContainersOf(pod).some((c) => c.name === spec.name);
}

/** A container that ended and will run again shows why it waits, and its end as its last state. */
function applyWaiting(
  spec: Container,
  status: ContainerStatus,
  { pod, waiting, over }: ContainerStatusInputs,
): void {
  const found = waiting.get(spec.name);
  if (!found || over || pod.metadata.deletionTimestamp !== undefined) return;
  const ended = status.state?.terminated;
  if (status.state?.running) return;
  if (ended) {
    if (!restartsAfter(pod, spec, ended.exitCode)) return;
    status.lastState = { terminated: ended };
  }
  const { reason, message } = found;
  status.state = { waiting: { reason, ...(message === '' ? {} : { message }) } };
}
