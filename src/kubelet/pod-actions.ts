import { isSidecar } from '../api/pods.ts';
import type { Container, Pod } from '../api/types.ts';
import {
  allContainersOf,
  containersOf,
  ephemeralContainersOf,
  initContainersOf,
  isHostNetwork,
} from './names.ts';
import { restartsAfter, restartsAll, shouldStart } from './restart-policy.ts';
import {
  containerHash,
  inCurrentSandbox,
  newestContainer,
  type RuntimeContainer,
  type RuntimePod,
} from './runtime-pod.ts';

/** What probes have found out; `undefined` is "not known yet". */
export interface ProbeVerdicts {
  /** `false`: its liveness probe gave up on it. */
  liveness(containerId: string): boolean | undefined;
  /** `true`: has no startup probe or has passed it; `false`: has failed it for good. */
  startup(containerId: string): boolean | undefined;
}

export type KillReason = 'liveness' | 'startup' | 'definition' | 'unknown' | 'resize';

/** All that others have found out about the pod's containers. */
export interface Verdicts extends ProbeVerdicts {
  /** Whether a running container must change to have the resources that are allocated to it. */
  resizeNeed(spec: Container): 'update' | 'restart' | undefined;
}

export interface ContainerToResize {
  readonly container: RuntimeContainer;
  readonly spec: Container;
}

export interface ContainerToKill {
  readonly container: RuntimeContainer;
  readonly spec: Container;
  readonly why: KillReason;
  /** As the Killing event says it. */
  readonly message: string;
}

/** What to do next for a pod; computed anew after every change. */
export interface PodActions {
  /** Stop everything, then the sandbox: it is broken, or nothing is left to run in it. */
  readonly killPod: boolean;
  /** Stop every container and forget it, then begin with the init containers, in the same sandbox. */
  readonly restartAll: boolean;
  /** Make a sandbox, with this attempt number. */
  readonly createSandbox: number | undefined;
  readonly kill: readonly ContainerToKill[];
  /** Change their resources while they run. */
  readonly resize: readonly ContainerToResize[];
  readonly startInit: readonly Container[];
  readonly start: readonly Container[];
  readonly startEphemeral: readonly Container[];
}

const NOTHING: PodActions = {
  killPod: false,
  restartAll: false,
  createSandbox: undefined,
  kill: [],
  resize: [],
  startInit: [],
  start: [],
  startEphemeral: [],
};

/** Compares what the pod wants with what runs. Pure. */
export function computePodActions(pod: Pod, runtime: RuntimePod, verdicts: Verdicts): PodActions {
  const attempt = neededSandbox(pod, runtime);
  if (attempt !== undefined) return actionsForNewSandbox(pod, runtime, attempt);
  const current = inCurrentSandbox(runtime);
  const all = [...initContainersOf(pod), ...containersOf(pod)];
  if (all.some((c) => restartsAll(c, newestContainer(current, c.name)))) {
    return { ...NOTHING, restartAll: true };
  }
  const startEphemeral = ephemeralContainersOf(pod).filter(
    (c) => !newestContainer(current, c.name),
  );
  const init = initActions(pod, current, verdicts);
  if (init.failed) return { ...NOTHING, killPod: true };
  if (!init.done) {
    const { kill, resize, start: startInit } = init;
    return { ...NOTHING, startEphemeral, kill, resize, startInit };
  }
  const regular = regularActions(pod, current, verdicts);
  if (regular.kept === 0 && regular.start.length === 0) return { ...NOTHING, killPod: true };
  return {
    ...NOTHING,
    startEphemeral,
    kill: [...init.kill, ...regular.kill],
    resize: [...init.resize, ...regular.resize],
    startInit: init.start,
    start: regular.start,
  };
}

/** The attempt number of the sandbox that must be made, or undefined when the present one will do. */
function neededSandbox(pod: Pod, runtime: RuntimePod): number | undefined {
  const newest = runtime.sandboxes[0];
  if (!newest) return 0;
  const ready = runtime.sandboxes.filter((s) => s.ready);
  const wantedNetwork = isHostNetwork(pod) ? 'NODE' : 'POD';
  const usable =
    ready.length === 1 &&
    newest.ready &&
    newest.network === wantedNetwork &&
    (wantedNetwork === 'NODE' || newest.ips.length > 0);
  return usable ? undefined : newest.attempt + 1;
}

function actionsForNewSandbox(pod: Pod, runtime: RuntimePod, attempt: number): PodActions {
  const everRan = runtime.containers.length > 0;
  const start = containersOf(pod).filter((c) => {
    const status = newestContainer(runtime, c.name);
    return status?.state !== 'exited' || restartsAfter(pod, c, status.exitCode);
  });
  const killPod = runtime.sandboxes.length > 0;
  const mayRunAgain = !everRan || start.length > 0;
  if (!mayRunAgain || (everRan && attempt > 0 && neverRestarts(pod, runtime))) {
    return { ...NOTHING, killPod };
  }
  const firstInit = initContainersOf(pod)[0];
  if (firstInit) return { ...NOTHING, killPod, createSandbox: attempt, startInit: [firstInit] };
  return { ...NOTHING, killPod, createSandbox: attempt, start };
}

/** A pod that may not restart after failure is over with its sandbox. */
function neverRestarts(pod: Pod, runtime: RuntimePod): boolean {
  if (pod.spec?.restartPolicy !== 'Never') return false;
  return !allContainersOf(pod).some((c) => {
    const status = newestContainer(runtime, c.name);
    return status !== undefined && restartsAfter(pod, c, status.exitCode || 137);
  });
}

interface Changes {
  kill: ContainerToKill[];
  resize: ContainerToResize[];
  start: Container[];
}

interface InitActions extends Changes {
  done: boolean;
  failed: boolean;
}

/**
 * Init containers run one after another; a sidecar lets the next one begin as soon as it has started.
 * Once a regular container exists, only sidecars are looked after.
 */
function initActions(pod: Pod, current: RuntimePod, verdicts: Verdicts): InitActions {
  const result: InitActions = { done: false, failed: false, kill: [], resize: [], start: [] };
  const initialized = containersOf(pod).some((c) => newestContainer(current, c.name));
  const containers = initContainersOf(pod);
  for (const [index, spec] of containers.entries()) {
    const status = newestContainer(current, spec.name);
    // A later one ran already: this one was done, and its remains were collected.
    const laterRan = containers.slice(index + 1).some((c) => newestContainer(current, c.name));
    if (isSidecar(spec)) {
      const goOn = sidecarActions(pod, spec, { status, verdicts, result });
      if (!goOn && !initialized) return result;
      continue;
    }
    if (initialized || isDone(status, laterRan)) continue;
    if (status?.state === 'exited' && !restartsAfter(pod, spec, status.exitCode)) {
      return { ...result, failed: true };
    }
    addNonRunning(spec, status, result);
    return result;
  }
  return { ...result, done: true };
}

function isDone(status: RuntimeContainer | undefined, laterRan: boolean): boolean {
  return status ? status.state === 'exited' && status.exitCode === 0 : laterRan;
}

function addNonRunning(
  spec: Container,
  status: RuntimeContainer | undefined,
  result: Changes,
): void {
  if (status?.state === 'running') return;
  if (status?.state === 'unknown') result.kill.push(unknownState(spec, status));
  result.start.push(spec);
}

/** Keeps one sidecar going. Answers whether the container after it may start. */
function sidecarActions(
  pod: Pod,
  spec: Container,
  given: {
    status: RuntimeContainer | undefined;
    verdicts: Verdicts;
    result: InitActions;
  },
): boolean {
  const { status, verdicts, result } = given;
  if (status?.state !== 'running') {
    if (shouldStart(pod, spec, status)) addNonRunning(spec, status, result);
    return false;
  }
  const kill = killOf(pod, spec, status, verdicts);
  if (kill) {
    result.kill.push(kill);
    result.start.push(spec);
    return false;
  }
  if (verdicts.resizeNeed(spec) === 'update') result.resize.push({ container: status, spec });
  return verdicts.startup(status.id) === true;
}

interface RegularActions extends Changes {
  /** Containers that run and go on. */
  kept: number;
}

function regularActions(pod: Pod, current: RuntimePod, verdicts: Verdicts): RegularActions {
  const result: RegularActions = { kept: 0, kill: [], resize: [], start: [] };
  for (const spec of containersOf(pod)) {
    const status = newestContainer(current, spec.name);
    if (status?.state === 'running') keepOrReplace(pod, { spec, status }, verdicts, result);
    else if (shouldStart(pod, spec, status)) addNonRunning(spec, status, result);
  }
  return result;
}

function keepOrReplace(
  pod: Pod,
  { spec, status }: { spec: Container; status: RuntimeContainer },
  verdicts: Verdicts,
  result: RegularActions,
): void {
  const kill = killOf(pod, spec, status, verdicts);
  if (!kill) {
    result.kept++;
    if (verdicts.resizeNeed(spec) === 'update') result.resize.push({ container: status, spec });
    return;
  }
  result.kill.push(kill);
  const replaced = kill.why === 'definition' || kill.why === 'resize';
  if (replaced || mayRestart(pod, spec)) result.start.push(spec);
}

const mayRestart = (pod: Pod, spec: Container): boolean =>
  isSidecar(spec) || restartsAfter(pod, spec, 137);

function killOf(
  pod: Pod,
  spec: Container,
  status: RuntimeContainer,
  verdicts: Verdicts,
): ContainerToKill | undefined {
  const restart = mayRestart(pod, spec) ? ', will be restarted' : '';
  const as = (why: KillReason, message: string): ContainerToKill => ({
    container: status,
    spec,
    why,
    message: `Container ${spec.name} ${message}`,
  });
  if (status.hash !== '' && status.hash !== containerHash(spec)) {
    return as('definition', 'definition changed, will be restarted');
  }
  if (verdicts.liveness(status.id) === false)
    return as('liveness', `failed liveness probe${restart}`);
  if (verdicts.startup(status.id) === false) return as('startup', `failed startup probe${restart}`);
  if (verdicts.resizeNeed(spec) === 'restart') return as('resize', 'resize requires restart');
  return undefined;
}

function unknownState(spec: Container, container: RuntimeContainer): ContainerToKill {
  const message = `Container ${spec.name} is in unknown state, try killing it before restart`;
  return { container, spec, why: 'unknown', message };
}
