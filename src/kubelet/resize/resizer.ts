import type { Container, Pod } from '../../api/types.ts';
import type { EventRecorder } from '../../client/client.ts';
import { errorMessage } from '../../util/errors.ts';
import { RpcError } from '../../util/grpc.ts';
import { allContainersOf } from '../names.ts';
import type { ContainerToResize } from '../pod-actions.ts';
import type { PodGroups } from '../pod-groups.ts';
import type { PodState } from '../pod-state.ts';
import { containerResources, type NodeMemory } from '../resources.ts';
import type { ContainerRuntime } from '../runtime/runtime.ts';
import type { Allocations } from './allocations.ts';
import { type Pending, resizeRefusal } from './resize-decision.ts';

/** How far a pod's resize (KEP-1287) has come; shown as conditions of the pod. */
export interface ResizeState {
  /** Its wish is not granted yet. */
  pending: Pending | undefined;
  /** It is granted, and containers do not all have it yet; with the error of the last try. */
  progress: { error?: string } | undefined;
}

export interface ResizerDeps {
  allocations: Allocations;
  runtime: ContainerRuntime;
  groups: PodGroups;
  recorder: EventRecorder;
  allocatable(): Readonly<Record<string, string>>;
  refusal(pod: Pod): { message: string } | undefined;
  memory: NodeMemory;
  wake(uid: string): void;
}

/** Grants pods the resources that they want beside what they have, and gives them to running containers. */
export class Resizer {
  readonly #deps: ResizerDeps;
  readonly #pending = new Map<string, Pending>();
  readonly #errors = new Map<string, string>();

  constructor(deps: ResizerDeps) {
    this.#deps = deps;
  }

  /** Grants the pod's wish if the node can. */
  consider(state: PodState): void {
    const { allocations, recorder, allocatable, refusal } = this.#deps;
    const { uid } = state;
    const wanted = allocations.wanted(uid);
    if (!wanted) {
      this.#pending.delete(uid);
      return;
    }
    const refused = resizeRefusal(wanted, { allocatable: allocatable(), refusal });
    if (refused) {
      const told = this.#pending.get(uid);
      this.#pending.set(uid, refused);
      if (told?.reason === refused.reason && told.message === refused.message) return;
      const message = `Pod resize ${refused.reason}: ${summary(wanted)}, error: ${refused.message}`;
      recorder.event(wanted, 'Warning', `Resize${refused.reason}`, message);
      return;
    }
    this.#pending.delete(uid);
    state.pod = allocations.grant(uid) ?? state.pod;
    recorder.event(wanted, 'Normal', 'ResizeStarted', `Pod resize started: ${summary(wanted)}`);
    // What it gave back may be what another one waits for.
    this.retryDeferred();
  }

  stateOf(pod: Pod): ResizeState {
    const { uid } = pod.metadata;
    const { allocations } = this.#deps;
    const lags =
      this.lags(uid) || allContainersOf(pod).some((c) => allocations.need(uid, c) !== undefined);
    const error = this.#errors.get(uid);
    return {
      pending: this.#pending.get(uid),
      progress: lags ? { ...(error === undefined ? {} : { error }) } : undefined,
    };
  }

  /** Whether the pod's own group must change, whatever its containers need. */
  lags(uid: string): boolean {
    return this.#deps.allocations.podLags(uid);
  }

  /** Resources became free: who waits for some is looked at again. */
  retryDeferred(): void {
    for (const [uid, { reason }] of this.#pending) if (reason === 'Deferred') this.#deps.wake(uid);
  }

  forget(uid: string): void {
    this.#pending.delete(uid);
    this.#errors.delete(uid);
    this.#deps.allocations.forget(uid);
    this.retryDeferred();
  }

  /** Gives running containers what is allocated to them. Answers false when one could not be changed now. */
  async actuate(
    state: PodState,
    containers: readonly ContainerToResize[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const { groups, allocations } = this.#deps;
    const { pod, uid } = state;
    try {
      // The pod's group must never be smaller than the containers inside it.
      await groups.widen(pod);
      for (const { container, spec } of containers) {
        await this.#update(pod, { id: container.id, spec }, signal);
      }
      await groups.ensure(pod);
      allocations.podActuated(uid);
      this.#errors.delete(uid);
      this.#tellCompleted(pod);
      return true;
    } catch (err) {
      signal.throwIfAborted();
      const why = err instanceof RpcError ? err.details : errorMessage(err);
      const told = this.#errors.get(uid);
      this.#errors.set(uid, why);
      if (told !== why) {
        const message = `Pod resize error: ${summary(pod)}, error: ${why}`;
        this.#deps.recorder.event(pod, 'Warning', 'ResizeError', message);
      }
      return false;
    }
  }

  async #update(
    pod: Pod,
    { id, spec }: { id: string; spec: Container },
    signal: AbortSignal,
  ): Promise<void> {
    const { runtime, allocations, memory } = this.#deps;
    const resources = containerResources(pod, spec, memory);
    const limit = resources.memoryLimitInBytes ?? 0;
    if (limit > 0) {
      const stats = await runtime.containerStats(id, signal);
      const used = stats?.memory?.workingSetBytes?.value ?? 0;
      if (used > limit) {
        throw new Error(
          `attempting to set container ${spec.name} memory limit (${limit}) below current usage (${used})`,
        );
      }
    }
    await runtime.updateContainerResources(id, resources, signal);
    allocations.actuated(pod.metadata.uid, spec);
  }

  #tellCompleted(pod: Pod): void {
    if (this.stateOf(pod).progress !== undefined) return;
    const message = `Pod resize completed: ${summary(pod)}`;
    this.#deps.recorder.event(pod, 'Normal', 'ResizeCompleted', message);
  }
}

function summary(pod: Pod): string {
  const of = (containers: readonly Container[] = []): object[] =>
    containers.map(({ name, resources = {} }) => ({ name, resources }));
  const { initContainers, containers, resources } = pod.spec ?? {};
  return JSON.stringify({
    ...(resources ? { resources } : {}),
    ...(initContainers?.length ? { initContainers: of(initContainers) } : {}),
    containers: of(containers),
    generation: pod.metadata.generation ?? 0,
  });
}
