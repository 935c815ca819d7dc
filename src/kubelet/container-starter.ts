import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Container, Pod, PodStatus } from '../api/types.ts';
import type { EventRecorder } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import { errnoOf, errorMessage } from '../util/errors.ts';
import { RpcError } from '../util/grpc.ts';
import type { ClaimManager } from './claims/claim-manager.ts';
import { containerConfig, logPathOf, mountOf, subPathOf } from './container-config.ts';
import { containerDevices, volumeDevices } from './devices/container-devices.ts';
import type { DeviceManager } from './devices/device-manager.ts';
import type { PodFacts } from './downward.ts';
import { ContainerConfigError, type EnvironmentDeps, makeEnvironment } from './environment.ts';
import { ImageError, type Images } from './images.ts';
import { runHook } from './lifecycle-hooks.ts';
import { runsAllTheSame } from './lost-answers.ts';
import { containerFieldPath, ephemeralContainersOf } from './names.ts';
import type { PodDirs } from './pod-dirs.ts';
import { containerResources, type NodeMemory } from './resources.ts';
import type {
  ContainerConfig,
  ContainerRuntime,
  Image,
  ImageSpec,
  Mount,
  PodSandboxConfig,
} from './runtime/runtime.ts';
import { newestContainer, type RuntimePod } from './runtime-pod.ts';
import { checkNonRoot } from './security-context.ts';
import { inUserNamespace } from './user-namespaces.ts';
import type { ImageVolumes } from './volumes/image-volumes.ts';
import { readInside, type SubPaths } from './volumes/sub-paths.ts';
import type { MountedVolume } from './volumes/volume-error.ts';

/** A container did not start. `reason` is what its status shows while it waits. */
export class StartError extends Error {
  override readonly name = 'StartError';
  readonly reason: string;
  /** When to try again, milliseconds from now. */
  readonly retryMs: number;

  constructor(reason: string, message: string, retryMs: number, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
    this.retryMs = retryMs;
  }
}

// Upstream tries again with the next sync of the pod after its back-off period.
const RETRY_MS = 10_000;

export interface StarterDeps {
  runtime: ContainerRuntime;
  recorder: EventRecorder;
  clock: Clock;
  images: Images;
  environment: Omit<EnvironmentDeps, 'volumeFile'>;
  subPaths: SubPaths;
  imageVolumes: ImageVolumes;
  devices: DeviceManager;
  claims: ClaimManager;
  dirs: PodDirs;
  /** Bytes of the machine. */
  memory: NodeMemory;
  seccompDefault: boolean;
  /** The runtime can make mounts below a read-only one read-only too. */
  recursiveReadOnly(pod: Pod): boolean;
}

export interface StartContext {
  pod: Pod;
  sandboxId: string;
  sandbox: PodSandboxConfig;
  volumes: ReadonlyMap<string, MountedVolume>;
  /** Images of volumes by the volume's name: what was pulled for one mount does for the others. */
  volumeImages: Map<string, Image>;
  facts: PodFacts;
  runtime: RuntimePod;
  /** The status that the API was told last. */
  told: PodStatus;
  /** Host path of the pod's /etc/hosts. */
  hostsFile: string | undefined;
  /** Ends one of the pod's containers the graceful way. */
  kill(container: { id: string; name: string }, message: string): Promise<void>;
}

/** Image, configuration, create, start, postStart hook: one container from nothing to running. */
export class ContainerStarter {
  readonly #deps: StarterDeps;

  constructor(deps: StarterDeps) {
    this.#deps = deps;
  }

  /** Answers the new container's id. Throws `StartError` when it could not be brought to run. */
  async start(container: Container, context: StartContext, signal: AbortSignal): Promise<string> {
    const { runtime } = this.#deps;
    const { pod, sandbox, sandboxId } = context;
    const config = await this.#prepare(container, context, signal);
    const id = await this.#step('CreateContainerError', { pod, container }, () =>
      runtime.createContainer(sandboxId, config, sandbox, signal),
    );
    this.#event(pod, container, 'Normal', { reason: 'Created', message: 'Container created' });
    await this.#step('RunContainerError', { pod, container }, () =>
      runtime.startContainer(id, signal).catch(async (err: unknown) => {
        signal.throwIfAborted();
        if (!(await runsAllTheSame(id, err, this.#deps, signal))) throw err;
      }),
    );
    this.#event(pod, container, 'Normal', { reason: 'Started', message: 'Container started' });
    this.#linkLog(pod, container, { id, attempt: config.metadata.attempt });
    await this.#postStart(container, { id, context }, signal);
    return id;
  }

  /** The pod is gone. */
  forget(uid: string): void {
    this.#deps.images.forget(uid);
  }

  async #prepare(
    container: Container,
    context: StartContext,
    signal: AbortSignal,
  ): Promise<ContainerConfig> {
    const { images, environment, memory, seccompDefault } = this.#deps;
    const { pod, facts, sandbox, runtime, volumes } = context;
    try {
      const image = await images.ensure(pod, container, sandbox, signal);
      checkNonRoot(pod, container, image);
      const grants = await this.#deps.devices.prepare(pod.metadata.uid, container.name, signal);
      const own = await makeEnvironment(pod, container, facts, {
        ...environment,
        volumeFile: (name, path) => readInVolume(context.volumes.get(name), path),
      });
      const devices = containerDevices(grants, this.#deps.claims.cdiOf(pod, container));
      const env = new Map([...devices.envs, ...own]);
      const attempt = nextAttempt(runtime, context.told, container);
      const targetId = targetOf(pod, container, runtime);
      const config = containerConfig(pod, container, {
        attempt,
        imageRef: image.id,
        env,
        mounts: [
          ...devices.mounts,
          ...(await this.#mounts(container, context, { env, attempt, signal })),
        ],
        devices: {
          ...devices,
          devices: [...devices.devices, ...volumeDevices(container, volumes)],
        },
        resources: containerResources(pod, container, memory),
        seccompDefault,
        ...(targetId === undefined ? {} : { targetId }),
      });
      return inUserNamespace(config, sandbox);
    } catch (err) {
      signal.throwIfAborted();
      if (err instanceof ImageError)
        throw new StartError(err.reason, err.message, err.retryMs, err);
      this.#event(pod, container, 'Warning', {
        reason: 'Failed',
        message: `Error: ${errorMessage(err)}`,
      });
      throw new StartError('CreateContainerConfigError', errorMessage(err), RETRY_MS, err);
    }
  }

  async #step<T>(
    reason: string,
    { pod, container }: { pod: Pod; container: Container },
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      return await work();
    } catch (err) {
      const message = err instanceof RpcError ? err.details : errorMessage(err);
      this.#event(pod, container, 'Warning', { reason: 'Failed', message: `Error: ${message}` });
      throw new StartError(reason, message, RETRY_MS, err);
    }
  }

  async #mounts(
    container: Container,
    context: StartContext,
    { env, attempt, signal }: MountFacts,
  ): Promise<Mount[]> {
    const { dirs } = this.#deps;
    const { pod, hostsFile } = context;
    const mounts: Mount[] = [];
    for (const index of (container.volumeMounts ?? []).keys()) {
      mounts.push(await this.#volumeMount(container, index, context, { env, attempt, signal }));
    }
    const isMounted = (path: string): boolean => mounts.some((m) => m.containerPath === path);
    if (hostsFile !== undefined && !isMounted('/etc/hosts')) {
      mounts.push(plainMount('/etc/hosts', hostsFile));
    }
    const messagePath = container.terminationMessagePath ?? '/dev/termination-log';
    const messageFile = dirs.messageFile(pod.metadata.uid, container.name, attempt);
    mkdirSync(dirs.container(pod.metadata.uid, container.name), { recursive: true });
    writeFileSync(messageFile, '');
    chmodSync(messageFile, 0o666);
    mounts.push(plainMount(messagePath, messageFile));
    return mounts;
  }

  async #volumeMount(
    container: Container,
    index: number,
    context: StartContext,
    { env, signal }: MountFacts,
  ): Promise<Mount> {
    const { pod, volumes } = context;
    const mount = container.volumeMounts?.[index];
    const found = volumes.get(mount?.name ?? '');
    if (!mount || !found) {
      throw new ContainerConfigError(
        `cannot find volume "${mount?.name}" to mount into container "${container.name}"`,
      );
    }
    const subPath = subPathOf(mount, env);
    const volume = await this.#withImage(mount.name, found, context, signal);
    if (volume.byRuntime) {
      const { mountPath } = mount;
      return imageMount(mountPath, volume.byRuntime, subPath ?? '');
    }
    const hostPath =
      subPath === undefined
        ? volume.hostPath
        : await this.#deps.subPaths.prepare({ pod, container, volume, mount, index, subPath });
    const recursiveReadOnly = this.#deps.recursiveReadOnly(pod);
    return mountOf(mount, volume, { hostPath, recursiveReadOnly });
  }

  /** Pulls the image that a volume is, and mounts it unless the runtime does. */
  async #withImage(
    name: string,
    volume: MountedVolume,
    { pod, sandbox, volumeImages }: StartContext,
    signal: AbortSignal,
  ): Promise<MountedVolume & { byRuntime?: ImageSpec }> {
    if (!volume.image) return volume;
    const { images, imageVolumes } = this.#deps;
    const known = volumeImages.get(name);
    const image = known ?? (await images.ensureVolume(pod, volume.image, sandbox, signal));
    volumeImages.set(name, image);
    const hostPath = await imageVolumes.mount(pod.metadata.uid, name, image, signal);
    if (hostPath !== undefined) return { ...volume, hostPath };
    const { reference } = volume.image;
    return { ...volume, byRuntime: { image: image.id, userSpecifiedImage: reference } };
  }

  /** /var/log/containers holds a link per container, by which log collectors find it. */
  #linkLog(pod: Pod, container: Container, { id, attempt }: { id: string; attempt: number }): void {
    const { dirs } = this.#deps;
    const link = dirs.containerLogLink(pod, container.name, id);
    try {
      symlinkSync(join(dirs.podLogs(pod), logPathOf(container, attempt)), link);
    } catch (err) {
      if (errnoOf(err) !== 'EEXIST') throw err;
    }
  }

  async #postStart(
    container: Container,
    { id, context }: { id: string; context: StartContext },
    signal: AbortSignal,
  ): Promise<void> {
    const handler = container.lifecycle?.postStart;
    if (!handler) return;
    const { pod, facts } = context;
    const podIp = facts.podIps[0] ?? facts.hostIps[0] ?? '';
    try {
      await runHook(handler, { pod, container, containerId: id, podIp }, this.#deps, signal);
    } catch (err) {
      signal.throwIfAborted();
      this.#event(pod, container, 'Warning', {
        reason: 'FailedPostStartHook',
        message: 'PostStartHook failed',
      });
      await context.kill({ id, name: container.name }, 'FailedPostStartHook');
      throw new StartError('PostStartHookError', errorMessage(err), 0, err);
    }
  }

  #event(
    pod: Pod,
    container: Container,
    type: 'Normal' | 'Warning',
    { reason, message }: { reason: string; message: string },
  ): void {
    const subject = { ...pod, fieldPath: containerFieldPath(pod, container) };
    this.#deps.recorder.event(subject, type, reason, message);
  }
}

/** What mounts are made with. */
interface MountFacts {
  env: ReadonlyMap<string, string>;
  attempt: number;
  signal: AbortSignal;
}

/** An image that the runtime mounts by itself. */
function imageMount(containerPath: string, image: ImageSpec, imageSubPath: string): Mount {
  return { containerPath, hostPath: '', readonly: true, image, imageSubPath };
}

async function readInVolume(
  volume: MountedVolume | undefined,
  path: string,
): Promise<string | undefined> {
  return volume && readInside(volume.hostPath, path);
}

function plainMount(containerPath: string, hostPath: string): Mount {
  return { containerPath, hostPath, readonly: false };
}

/** One more than ever before, also when only the API remembers the earlier ones. */
function nextAttempt(runtime: RuntimePod, status: PodStatus, container: Container): number {
  const newest = newestContainer(runtime, container.name);
  if (newest) return newest.attempt + 1;
  const { initContainerStatuses = [], containerStatuses = [] } = status;
  const told = [...initContainerStatuses, ...containerStatuses].find(
    (s) => s.name === container.name,
  );
  return told?.containerID ? told.restartCount + 1 : 0;
}

function targetOf(pod: Pod, container: Container, runtime: RuntimePod): string | undefined {
  if (!ephemeralContainersOf(pod).some((c) => c.name === container.name)) return undefined;
  const name = (container as { targetContainerName?: string }).targetContainerName;
  if (!name) return undefined;
  const target = newestContainer(runtime, name);
  if (target?.state !== 'running') {
    throw new ContainerConfigError(`unable to find target container ${name}`);
  }
  return target.id;
}
