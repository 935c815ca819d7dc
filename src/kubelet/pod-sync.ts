import { rm } from 'node:fs/promises';
import type { Container, Pod, PodStatus } from '../api/types.ts';
import type { EventRecorder } from '../client/client.ts';
import { Backoff } from '../util/backoff.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import { inexact } from '../util/exact-json.ts';
import { RpcError } from '../util/grpc.ts';
import type { Logger } from '../util/log.ts';
import type { ClaimManager } from './claims/claim-manager.ts';
import type { ContainerKiller } from './container-killer.ts';
import { type ContainerStarter, StartError } from './container-starter.ts';
import { type DnsOptions, podDns, tellDns } from './dns.ts';
import { writeHosts } from './hosts-file.ts';
import { ephemeralContainersOf, isHostNetwork, podKey } from './names.ts';
import type { Pleg } from './pleg.ts';
import { computePodActions, type PodActions, type ProbeVerdicts } from './pod-actions.ts';
import { DirectoryError, makePodDirectories, type PodDirs } from './pod-dirs.ts';
import type { PodGroups } from './pod-groups.ts';
import type { PodState } from './pod-state.ts';
import type { Allocations } from './resize/allocations.ts';
import type { Resizer } from './resize/resizer.ts';
import { RestartBackoff } from './restart-backoff.ts';
import type { ContainerRuntime, Image, PodSandboxConfig } from './runtime/runtime.ts';
import type { RuntimePod } from './runtime-pod.ts';
import { podHostname, sandboxConfig } from './sandbox-config.ts';
import type { UserNamespaces } from './user-namespaces.ts';
import { type MountedVolume, VolumeError } from './volumes/volume-error.ts';
import type { VolumeManager } from './volumes/volume-manager.ts';

/** How long after a failure the pod is looked at again. */
const SYNC_RETRY_MS = 10_000;
const VOLUME_FIRST_MS = 500;
const VOLUME_MAX_MS = 122_000;
// What keeps a sandbox from being made is often over in a moment, and else costs the engine much each time.
const SANDBOX_FIRST_MS = 1000;
const SANDBOX_MAX_MS = 10_000;
const NETWORK_RETRY_MS = 2000;

export interface PodSyncDeps {
  runtime: ContainerRuntime;
  pleg: Pleg;
  recorder: EventRecorder;
  clock: Clock;
  log: Logger;
  starter: ContainerStarter;
  killer: ContainerKiller;
  volumes: VolumeManager;
  claims: ClaimManager;
  userNamespaces: UserNamespaces;
  groups: PodGroups;
  dirs: PodDirs;
  verdicts: ProbeVerdicts;
  allocations: Allocations;
  resizer: Resizer;
  /** As it is now: who was given another network resolves names by that. */
  dns(): Promise<DnsOptions>;
  clusterDomain: string;
  hostIps(): readonly string[];
  /** Why the runtime cannot give pods a network now; undefined when it can. */
  networkProblem(): string | undefined;
  /** Tells the pod's status as it is now. */
  tell(state: PodState): void;
  /** The same, unless there is more to tell in a moment. */
  tellSoon(state: PodState): void;
  runtimeHandler(pod: Pod, signal: AbortSignal): Promise<string>;
  /** The status that was told last. */
  told(pod: Pod): PodStatus;
}

/** Brings the node closer to what one pod asks for. Safe to repeat at any point. */
export class PodSync {
  readonly #deps: PodSyncDeps;
  readonly #restarts: RestartBackoff;
  readonly #sandboxBackoff: Backoff;
  readonly #volumeBackoff: Backoff;

  constructor(deps: PodSyncDeps) {
    this.#deps = deps;
    const { clock } = deps;
    this.#restarts = new RestartBackoff(deps);
    this.#sandboxBackoff = new Backoff({ clock, firstMs: SANDBOX_FIRST_MS, maxMs: SANDBOX_MAX_MS });
    this.#volumeBackoff = new Backoff({ clock, firstMs: VOLUME_FIRST_MS, maxMs: VOLUME_MAX_MS });
  }

  /** One step. Answers the milliseconds after which to look again even if nothing happens. */
  async sync(state: PodState, signal: AbortSignal): Promise<number | undefined> {
    const { pleg, verdicts, allocations, resizer } = this.#deps;
    const actions = computePodActions(state.pod, pleg.get(state.uid), {
      liveness: (id) => verdicts.liveness(id),
      startup: (id) => verdicts.startup(id),
      resizeNeed: (spec) => allocations.need(state.uid, spec),
    });
    if (isIdle(actions) && !resizer.lags(state.uid)) {
      // Nothing to start, but files of volumes may have to follow what they show.
      return this.#refreshVolumes(state);
    }
    return this.#act(state, actions, signal);
  }

  forget(uid: string): void {
    this.#deps.starter.forget(uid);
    this.#restarts.forget(uid);
    this.#sandboxBackoff.forget(`${uid}/`);
    this.#volumeBackoff.forget(`${uid}/`);
  }

  async #refreshVolumes(state: PodState): Promise<number | undefined> {
    try {
      await this.#deps.volumes.setUp(state.pod, this.#facts(state));
      return undefined;
    } catch (err) {
      return this.#volumeFailed(state, err);
    }
  }

  async #act(
    state: PodState,
    actions: PodActions,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { pleg, killer, resizer } = this.#deps;
    const before = pleg.get(state.uid);
    if (actions.killPod) {
      await this.#killPod(state, actions, signal);
      if (actions.createSandbox === undefined) return undefined;
    }
    if (actions.restartAll) return this.#restartAll(state, signal);
    for (const { container, message, spec, why } of actions.kill) {
      const grace = probeGrace(state.pod, spec, why);
      await killer.kill(state, container, { message, gracePeriod: grace }, signal);
    }
    if (actions.kill.length > 0) await pleg.refresh(state.uid, signal);
    const wait = await this.#start(state, actions, before, signal);
    const resized = actions.kill.some(({ why }) => why === 'resize');
    if (actions.resize.length === 0 && !resized && !resizer.lags(state.uid)) return wait;
    const done = await resizer.actuate(state, actions.resize, signal);
    return done ? wait : soonest([wait, SYNC_RETRY_MS]);
  }

  /** Ends every container and takes its record away, so that the next look finds a pod that never ran. */
  async #restartAll(state: PodState, signal: AbortSignal): Promise<number> {
    const { killer, pleg, runtime, tell } = this.#deps;
    state.restartingAll = true;
    await killer.killContainers(state, undefined, signal);
    const ended = await pleg.refresh(state.uid, signal);
    tell(state);
    const ephemeral = new Set(ephemeralContainersOf(state.pod).map((c) => c.name));
    for (const { id, name } of ended.containers) {
      if (!ephemeral.has(name)) await runtime.removeContainer(id, signal);
    }
    await pleg.refresh(state.uid, signal);
    return 0;
  }

  async #killPod(state: PodState, actions: PodActions, signal: AbortSignal): Promise<void> {
    const { killer, recorder, pleg } = this.#deps;
    const { pod } = state;
    const broken = actions.createSandbox !== undefined;
    if (broken && pleg.get(state.uid).sandboxes.length > 0) {
      const message = 'Pod sandbox changed, it will be killed and re-created.';
      recorder.event(pod, 'Normal', 'SandboxChanged', message);
    }
    await killer.killPod(state, undefined, signal);
  }

  /** `before` is the pod as it was when the actions were chosen. */
  async #start(
    state: PodState,
    actions: PodActions,
    before: RuntimePod,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { groups } = this.#deps;
    const { pod } = state;
    const network = this.#deps.networkProblem();
    if (network !== undefined && !isHostNetwork(pod)) {
      const message = `network is not ready: ${network}`;
      this.#deps.recorder.event(pod, 'Warning', 'NetworkNotReady', message);
      return NETWORK_RETRY_MS;
    }
    if (!(await this.#prepareClaims(pod, signal))) return this.#failedAgain(state.uid);
    let volumes: Map<string, MountedVolume>;
    try {
      makePodDirectories(this.#deps.dirs, pod);
      [volumes] = await Promise.all([
        this.#deps.volumes.setUp(pod, this.#facts(state)),
        actions.resize.length > 0 ? groups.widen(pod) : groups.ensure(pod),
      ]);
      this.#volumeBackoff.forget(`${state.uid}/`);
    } catch (err) {
      signal.throwIfAborted();
      return this.#volumeFailed(state, err);
    }
    const sandbox = await this.#sandbox(state, actions, signal);
    if (!sandbox) return this.#failedAgain(state.uid);
    this.#sandboxBackoff.forget(`${state.uid}/`);
    return this.#startContainers(state, actions, { ...sandbox, volumes, before }, signal);
  }

  /** Answers whether the devices of the pod's claims are ready. */
  async #prepareClaims(pod: Pod, signal: AbortSignal): Promise<boolean> {
    const { claims, recorder } = this.#deps;
    try {
      await claims.prepare(pod, signal);
      return true;
    } catch (err) {
      signal.throwIfAborted();
      const why = `Failed to prepare dynamic resources: prepare dynamic resources: ${errorMessage(err)}`;
      recorder.event(pod, 'Warning', 'FailedPrepareDynamicResources', why);
      return false;
    }
  }

  #volumeFailed(state: PodState, err: unknown): number {
    const { recorder, log, clock } = this.#deps;
    log.warn({ pod: podKey(state.pod), err: errorMessage(err) }, 'Cannot prepare pod');
    const { reason, prefix } = failureKind(err);
    recorder.event(state.pod, 'Warning', reason, prefix + errorMessage(err));
    const key = `${state.uid}/`;
    this.#volumeBackoff.next(key, clock.now());
    return this.#volumeBackoff.delay(key);
  }

  #facts(state: PodState, runtime: RuntimePod = this.#deps.pleg.get(state.uid)) {
    const hostIps = this.#deps.hostIps();
    const podIps = isHostNetwork(state.pod) ? hostIps : (runtime.sandboxes[0]?.ips ?? []);
    return { hostIps, podIps };
  }

  /** The sandbox to start containers in; undefined when it could not be made now. */
  async #sandbox(
    state: PodState,
    actions: PodActions,
    signal: AbortSignal,
  ): Promise<{ id: string; config: PodSandboxConfig } | undefined> {
    const { runtime, pleg, recorder, log, runtimeHandler } = this.#deps;
    const { pod } = state;
    const present = pleg.get(state.uid).sandboxes[0];
    try {
      const attempt = actions.createSandbox ?? present?.attempt ?? 0;
      const config = await this.#sandboxConfig(pod, attempt);
      if (actions.createSandbox === undefined && present) return { id: present.id, config };
      const handler = await runtimeHandler(pod, signal);
      const id = await runtime.runPodSandbox(config, handler, signal);
      await pleg.sandboxMade(pod.metadata, id);
      this.#deps.tellSoon(state);
      return { id, config };
    } catch (err) {
      signal.throwIfAborted();
      const why = `Failed to create pod sandbox: ${rpcMessage(err)}`;
      recorder.event(pod, 'Warning', 'FailedCreatePodSandBox', why);
      log.warn({ pod: podKey(pod), err: errorMessage(err) }, 'Cannot create sandbox');
      // There may be one all the same: its answer was lost, or it could not be taken away again.
      await pleg.refresh(state.uid, signal).catch(() => signal.throwIfAborted());
      return undefined;
    }
  }

  /** When to try again to make claims ready and a sandbox. */
  #failedAgain(uid: string): number {
    const key = `${uid}/`;
    this.#sandboxBackoff.next(key, this.#deps.clock.now());
    // Pods that failed together must not try again together.
    return this.#sandboxBackoff.delay(key) * (1 + Math.random() / 2);
  }

  async #sandboxConfig(pod: Pod, attempt: number): Promise<PodSandboxConfig> {
    const { recorder, groups, dirs, clusterDomain } = this.#deps;
    const options = await this.#deps.dns();
    const resolved = podDns(pod, options);
    tellDns(recorder, pod, { ...resolved, ...options });
    return sandboxConfig(pod, {
      attempt,
      cgroupParent: groups.runtimeParent(pod),
      userns: this.#deps.userNamespaces.of(pod),
      logDirectory: dirs.podLogs(pod),
      dns: resolved.config,
      clusterDomain,
    });
  }

  async #startContainers(
    state: PodState,
    actions: PodActions,
    given: {
      id: string;
      config: PodSandboxConfig;
      volumes: Map<string, MountedVolume>;
      before: RuntimePod;
    },
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { pleg, starter, killer, allocations, told } = this.#deps;
    const { pod } = state;
    let runtime = pleg.get(state.uid);
    const facts = this.#facts(state, runtime);
    const hosts = writeHosts(this.#deps.dirs.hostsFile(pod.metadata.uid), pod, {
      podIps: facts.podIps,
      ...podHostname(pod, this.#deps.clusterDomain),
    });
    const waits: (number | undefined)[] = [];
    const volumeImages = new Map<string, Image>();
    for (const container of [...actions.startEphemeral, ...actions.startInit, ...actions.start]) {
      const wait = this.#restarts.wait(state, container, given.before);
      if (wait > 0) {
        waits.push(wait);
        continue;
      }
      const context = {
        pod,
        facts,
        runtime,
        sandboxId: given.id,
        sandbox: given.config,
        volumes: given.volumes,
        volumeImages,
        told: told(pod),
        hostsFile: hosts,
        kill: (which: { id: string; name: string }, message: string) =>
          killer.kill(state, which, { message }, signal),
      };
      try {
        const id = await starter.start(container, context, signal);
        state.waiting.delete(container.name);
        if (actions.start.includes(container)) state.restartingAll = false;
        allocations.actuated(state.uid, container);
        runtime = await pleg.containerMade(pod.metadata, given.id, id);
      } catch (err) {
        signal.throwIfAborted();
        if (!(err instanceof StartError)) throw err;
        state.waiting.set(container.name, { reason: err.reason, message: err.message });
        waits.push(err.retryMs);
        runtime = await pleg.refresh(state.uid, signal);
      }
    }
    return soonest(waits);
  }

  /** Stops everything of the pod. */
  async terminate(state: PodState, signal: AbortSignal): Promise<void> {
    await this.#deps.killer.killPod(state, state.failure?.gracePeriod, signal);
    await this.#deps.claims.unprepare(state.uid, signal);
  }

  /** Takes away what the pod had besides its containers' records; those too when the pod is gone for good. */
  async cleanUp(state: PodState, forGood: boolean, signal: AbortSignal): Promise<void> {
    const { runtime, pleg, volumes, groups, dirs } = this.#deps;
    const { uid, pod } = state;
    await volumes.tearDown(uid);
    if (forGood) {
      for (const sandbox of pleg.get(uid).sandboxes)
        await runtime.removePodSandbox(sandbox.id, signal);
      for (const container of pleg.get(uid).containers) {
        await runtime.removeContainer(container.id, signal);
        await rm(dirs.containerLogLink(pod, container.name, container.id), { force: true });
      }
      await pleg.refresh(uid, signal);
      await rm(dirs.podLogs(pod), { recursive: true, force: true });
    }
    await groups.remove(pod);
    this.forget(uid);
  }
}

/** How the event of a failure is called, and begins. */
function failureKind(err: unknown): { reason: string; prefix: string } {
  if (err instanceof VolumeError) return { reason: 'FailedMount', prefix: '' };
  if (err instanceof DirectoryError) {
    const prefix = 'error making pod data directories: ';
    return { reason: 'FailedToMakePodDataDirectories', prefix };
  }
  return { reason: 'FailedSync', prefix: 'error determining status: ' };
}

function isIdle(actions: PodActions): boolean {
  const { killPod, restartAll, createSandbox, kill, resize, start, startInit, startEphemeral } =
    actions;
  const lists = [kill, resize, start, startInit, startEphemeral];
  const count = lists.reduce((sum, list) => sum + list.length, 0);
  return !killPod && !restartAll && createSandbox === undefined && count === 0;
}

/** A probe may say how long a container that it gave up on gets; else the pod's period counts. */
function probeGrace(pod: Pod, spec: Container, why: string): number | undefined {
  const probe =
    why === 'liveness' ? spec.livenessProbe : why === 'startup' ? spec.startupProbe : undefined;
  const seconds = probe?.terminationGracePeriodSeconds ?? pod.spec?.terminationGracePeriodSeconds;
  return seconds === undefined ? undefined : inexact(seconds);
}

function soonest(waits: readonly (number | undefined)[]): number | undefined {
  const known = waits.filter((w) => w !== undefined);
  return known.length === 0 ? undefined : Math.min(...known, SYNC_RETRY_MS * 30);
}

function rpcMessage(err: unknown): string {
  return err instanceof RpcError ? err.details : errorMessage(err);
}
