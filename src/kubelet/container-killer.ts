import { isSidecar } from '../api/pods.ts';
import type { Container } from '../api/types.ts';
import type { EventRecorder } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import { runHook } from './lifecycle-hooks.ts';
import {
  allContainersOf,
  containerFieldPath,
  gracePeriodOf,
  initContainersOf,
  podKey,
} from './names.ts';
import type { Pleg } from './pleg.ts';
import type { PodState } from './pod-state.ts';
import type { ContainerRuntime } from './runtime/runtime.ts';
import type { RuntimeContainer, RuntimePod } from './runtime-pod.ts';

// What a container gets at the end, however long its preStop hook took.
const MINIMUM_GRACE = 2;

export interface KillerDeps {
  runtime: ContainerRuntime;
  recorder: EventRecorder;
  clock: Clock;
  log: Logger;
  pleg: Pleg;
}

export interface Kill {
  readonly message: string;
  /** Seconds; the pod's own when absent. */
  readonly gracePeriod?: number | undefined;
  /** Wait for this before the stop signal: sidecars end after the containers that they serve. */
  readonly after?: Promise<unknown> | undefined;
}

type Target = Pick<RuntimeContainer, 'id' | 'name'>;

/** Ends containers the graceful way: preStop hook, stop signal, grace period, kill. */
export class ContainerKiller {
  readonly #deps: KillerDeps;

  constructor(deps: KillerDeps) {
    this.#deps = deps;
  }

  /** Resolves when the container has ended. */
  async kill(
    state: PodState,
    container: Target,
    { message, gracePeriod, after }: Kill,
    signal: AbortSignal,
  ): Promise<void> {
    const { runtime, recorder, clock, log } = this.#deps;
    const { pod } = state;
    const spec = allContainersOf(pod).find((c) => c.name === container.name);
    const grace = gracePeriod ?? gracePeriodOf(pod);
    const subject = spec ? { ...pod, fieldPath: containerFieldPath(pod, spec) } : pod;
    const firstTry = !state.preStopped.has(container.id);
    if (firstTry) recorder.event(subject, 'Normal', 'Killing', message);
    const began = clock.now();
    if (spec?.lifecycle?.preStop && grace > 0 && firstTry) {
      state.preStopped.add(container.id);
      await this.#preStop(state, { spec, container, grace }, signal);
    }
    state.preStopped.add(container.id);
    if (after !== undefined) await Promise.race([after, clock.sleep(grace * 1000, signal)]);
    const used = Math.floor((clock.now() - began) / 1000);
    const left = gracePeriod === 0 ? 0 : Math.max(grace - used, Math.min(grace, MINIMUM_GRACE));
    log.info({ pod: podKey(pod), container: container.name, grace: left }, 'Stopping container');
    await runtime.stopContainer(container.id, left, signal);
  }

  /** Ends every running container, then the sandboxes. */
  async killPod(
    state: PodState,
    gracePeriod: number | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const found = await this.killContainers(state, gracePeriod, signal);
    await this.stopSandboxes(found, signal);
    await this.#deps.pleg.refresh(state.uid, signal);
  }

  /** Ends every running container at once; sidecars last, in reverse order of their start. Answers what was found. */
  async killContainers(
    state: PodState,
    gracePeriod: number | undefined,
    signal: AbortSignal,
  ): Promise<RuntimePod> {
    const { pleg } = this.#deps;
    const { pod } = state;
    const now = await pleg.refresh(state.uid, signal);
    const running = now.containers.filter((c) => c.state === 'running' || c.state === 'unknown');
    const sidecarOrder = initContainersOf(pod)
      .filter(isSidecar)
      .map((c) => c.name);
    const message = (c: RuntimeContainer): string => `Stopping container ${c.name}`;
    const stop = (c: RuntimeContainer, after?: Promise<unknown>): Promise<void> =>
      this.kill(state, c, { message: message(c), gracePeriod, after }, signal);
    const ends = running.filter((c) => !sidecarOrder.includes(c.name)).map((c) => stop(c));
    let before: Promise<unknown> = Promise.allSettled(ends);
    for (const name of sidecarOrder.reverse()) {
      const sidecar = running.find((c) => c.name === name);
      if (!sidecar) continue;
      const end = stop(sidecar, before);
      ends.push(end);
      before = Promise.allSettled([before, end]);
    }
    await allOrFirstError(ends);
    return now;
  }

  async stopSandboxes(runtimePod: RuntimePod, signal: AbortSignal): Promise<void> {
    const { runtime } = this.#deps;
    await Promise.all(runtimePod.sandboxes.map((s) => runtime.stopPodSandbox(s.id, signal)));
  }

  async #preStop(
    state: PodState,
    { spec, container, grace }: { spec: Container; container: Target; grace: number },
    signal: AbortSignal,
  ): Promise<void> {
    const { recorder, clock, log, pleg } = this.#deps;
    const handler = spec.lifecycle?.preStop;
    if (!handler) return;
    const { pod } = state;
    const podIp = pleg.get(state.uid).sandboxes[0]?.ips[0] ?? pod.status?.hostIP ?? '';
    const given = { pod, container: spec, containerId: container.id, podIp };
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    try {
      await Promise.race([
        runHook(handler, given, this.#deps, either),
        clock.sleep(grace * 1000, either).then(() => {
          log.info(
            { pod: podKey(pod), container: spec.name },
            'PreStop hook not completed in grace period',
          );
        }),
      ]);
    } catch (err) {
      signal.throwIfAborted();
      log.warn(
        { pod: podKey(pod), container: spec.name, err: errorMessage(err) },
        'PreStop hook failed',
      );
      const subject = { ...pod, fieldPath: containerFieldPath(pod, spec) };
      recorder.event(subject, 'Warning', 'FailedPreStopHook', 'PreStopHook failed');
    } finally {
      stop.abort();
    }
  }
}

async function allOrFirstError(work: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find((r) => r.status === 'rejected');
  if (failed) throw failed.reason;
}
