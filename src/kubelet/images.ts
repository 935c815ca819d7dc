import type { Pod } from '../api/types.ts';
import type { EventRecorder } from '../client/client.ts';
import { Backoff } from '../util/backoff.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import { RpcError } from '../util/grpc.ts';
import { ImagePulls } from './image-pulls.ts';
import { containerFieldPath } from './names.ts';
import { type PullSecret, pullCredentials } from './pull-credentials.ts';
import type { PullRecords } from './pull-records.ts';
import type { ContainerRuntime, Image, ImageSpec, PodSandboxConfig } from './runtime/runtime.ts';

/** A container's image is not here; `reason` is what its status shows. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
  readonly reason: string;
  /** When to try again, milliseconds from now. */
  readonly retryMs: number;

  constructor(reason: string, message: string, retryMs: number, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
    this.retryMs = retryMs;
  }
}

const FIRST_BACKOFF_MS = 10_000;
const MAX_BACKOFF_MS = 300_000;
const NEVER_RETRY_MS = 60_000;

/** A container's image; without a name, one that is a volume. */
interface WantedImage {
  readonly name?: string | undefined;
  readonly image?: string | undefined;
  readonly imagePullPolicy?: string | undefined;
}

export interface ImagesDeps {
  runtime: ContainerRuntime;
  recorder: EventRecorder;
  clock: Clock;
  pullSecrets(pod: Pod): Promise<PullSecret[]>;
  records: PullRecords;
  /** Pulls at the same time; further ones wait. */
  maxParallelPulls: number;
}

/** Sees to it that a container's image is on the node. */
export class Images {
  readonly #deps: ImagesDeps;
  readonly #backoff: Backoff;
  readonly #failedAt = new Map<string, number>();
  readonly #lastError = new Map<string, string>();
  readonly #pulls: ImagePulls;

  constructor(deps: ImagesDeps) {
    this.#deps = deps;
    const { clock } = deps;
    this.#backoff = new Backoff({ clock, firstMs: FIRST_BACKOFF_MS, maxMs: MAX_BACKOFF_MS });
    this.#pulls = new ImagePulls(deps.runtime, deps.maxParallelPulls);
  }

  /** The same for an image that is a volume of the pod. */
  ensureVolume(
    pod: Pod,
    { reference, pullPolicy }: { reference: string; pullPolicy?: string | undefined },
    sandbox: PodSandboxConfig,
    signal: AbortSignal,
  ): Promise<Image> {
    return this.ensure(pod, { image: reference, imagePullPolicy: pullPolicy }, sandbox, signal);
  }

  /** Answers the image as the runtime knows it; throws `ImageError` when it cannot be had now. */
  async ensure(
    pod: Pod,
    wanted: WantedImage,
    sandbox: PodSandboxConfig,
    signal: AbortSignal,
  ): Promise<Image> {
    const name = wanted.image ?? '';
    const spec: ImageSpec = { image: normalizeImage(name), userSpecifiedImage: name };
    const present = await this.#inspect(pod, wanted, spec, signal);
    const policy = wanted.imagePullPolicy ?? defaultPullPolicy(name);
    const quoted = JSON.stringify(name);
    if (present && policy !== 'Always' && (await this.#mayUse(pod, name, present))) {
      const message = `Container image ${quoted} already present on machine and can be accessed by the pod`;
      this.#event(pod, wanted, 'Normal', { reason: 'Pulled', message });
      return present;
    }
    if (policy === 'Never') {
      const message = `Container image ${quoted} is not present with pull policy of Never`;
      this.#event(pod, wanted, 'Warning', { reason: 'ErrImageNeverPull', message });
      throw new ImageError('ErrImageNeverPull', message, NEVER_RETRY_MS);
    }
    this.#checkBackoff(pod, wanted);
    return this.#pull(pod, wanted, { spec, sandbox }, signal);
  }

  /** An image that another pod's credentials brought here is not everybody's. */
  async #mayUse(pod: Pod, name: string, image: Image): Promise<boolean> {
    const { records, pullSecrets } = this.#deps;
    // Most images are nobody's secret: no secret is looked at for them.
    if (await records.mayUse(name, image, [])) return true;
    return records.mayUse(name, image, pullCredentials(name, await pullSecrets(pod)));
  }

  forget(podUid: string): void {
    this.#backoff.forget(`${podUid}/`);
    for (const key of this.#failedAt.keys()) {
      if (!key.startsWith(`${podUid}/`)) continue;
      this.#failedAt.delete(key);
      this.#lastError.delete(key);
    }
  }

  async #inspect(
    pod: Pod,
    wanted: WantedImage,
    spec: ImageSpec,
    signal: AbortSignal,
  ): Promise<Image | undefined> {
    try {
      return await this.#deps.runtime.imageStatus(spec, signal);
    } catch (err) {
      signal.throwIfAborted();
      const name = wanted.image ?? '';
      if (err instanceof RpcError && /invalid reference|couldn't parse/.test(err.details)) {
        const message = `Failed to apply default image tag ${JSON.stringify(name)}: couldn't parse image name ${JSON.stringify(name)}: invalid reference format`;
        this.#event(pod, wanted, 'Warning', { reason: 'InspectFailed', message });
        throw new ImageError('InvalidImageName', message, NEVER_RETRY_MS, err);
      }
      const message = `Failed to inspect image ${JSON.stringify(name)}: ${errorMessage(err)}`;
      this.#event(pod, wanted, 'Warning', { reason: 'InspectFailed', message });
      throw new ImageError('ImageInspectError', message, FIRST_BACKOFF_MS, err);
    }
  }

  #checkBackoff(pod: Pod, wanted: WantedImage): void {
    const key = backoffKey(pod, wanted);
    const failedAt = this.#failedAt.get(key);
    if (failedAt === undefined) return;
    const wait = this.#backoff.remaining(key, failedAt);
    if (wait === 0) return;
    const message = `Back-off pulling image ${JSON.stringify(wanted.image ?? '')}`;
    this.#event(pod, wanted, 'Normal', { reason: 'BackOff', message });
    const last = this.#lastError.get(key);
    const full = last ? `${message}: ErrImagePull: ${last}` : message;
    throw new ImageError('ImagePullBackOff', full, wait);
  }

  async #pull(
    pod: Pod,
    wanted: WantedImage,
    { spec, sandbox }: { spec: ImageSpec; sandbox: PodSandboxConfig },
    signal: AbortSignal,
  ): Promise<Image> {
    const { runtime, clock, pullSecrets } = this.#deps;
    const name = wanted.image ?? '';
    const key = backoffKey(pod, wanted);
    const message = `Pulling image ${JSON.stringify(name)}`;
    this.#event(pod, wanted, 'Normal', { reason: 'Pulling', message });
    const asked = clock.now();
    const ended = await this.#pulls.turn(signal);
    const began = clock.now();
    try {
      const credentials = pullCredentials(name, await pullSecrets(pod));
      const { ref, secret } = await this.#pullWith(spec, credentials, sandbox, signal);
      const image = await runtime.imageStatus({ image: ref }, signal);
      if (!image) throw new Error(`image ${ref} vanished after it was pulled`);
      await this.#deps.records.pulled(name, image.id, secret);
      this.#backoff.forget(key);
      this.#failedAt.delete(key);
      const took = `${seconds(clock.now() - began)} (${seconds(clock.now() - asked)} including waiting)`;
      const size = `Image size: ${image.size} bytes.`;
      const pulled = `Successfully pulled image ${JSON.stringify(name)} in ${took}. ${size}`;
      this.#event(pod, wanted, 'Normal', { reason: 'Pulled', message: pulled });
      return image;
    } catch (err) {
      signal.throwIfAborted();
      throw this.#failed(pod, wanted, err);
    } finally {
      ended();
    }
  }

  #failed(pod: Pod, wanted: WantedImage, err: unknown): ImageError {
    const { clock } = this.#deps;
    const key = backoffKey(pod, wanted);
    const now = clock.now();
    this.#failedAt.set(key, now);
    this.#backoff.next(key, now);
    const why =
      err instanceof RpcError
        ? `rpc error: code = ${goCode(err.code)} desc = ${err.details}`
        : errorMessage(err);
    this.#lastError.set(key, why);
    const message = `Failed to pull image ${JSON.stringify(wanted.image ?? '')}: ${why}`;
    this.#event(pod, wanted, 'Warning', { reason: 'Failed', message });
    this.#event(pod, wanted, 'Warning', { reason: 'Failed', message: 'Error: ErrImagePull' });
    return new ImageError('ErrImagePull', why, SOON_MS, err);
  }

  /** Every credential that fits is tried; without any, an anonymous pull. */
  async #pullWith(
    spec: ImageSpec,
    credentials: readonly PullSecret[],
    sandbox: PodSandboxConfig,
    signal: AbortSignal,
  ): Promise<{ ref: string; secret?: PullSecret }> {
    const { runtime } = this.#deps;
    if (credentials.length === 0) {
      return { ref: await this.#pulls.anonymous(spec, sandbox, signal) };
    }
    let last: unknown;
    for (const secret of credentials) {
      try {
        return { ref: await runtime.pullImage(spec, secret.auth, sandbox, signal), secret };
      } catch (err) {
        signal.throwIfAborted();
        last = err;
      }
    }
    throw last;
  }

  #event(
    pod: Pod,
    wanted: WantedImage,
    type: 'Normal' | 'Warning',
    { reason, message }: { reason: string; message: string },
  ): void {
    const fieldPath =
      wanted.name === undefined ? undefined : containerFieldPath(pod, { name: wanted.name });
    const subject = fieldPath === undefined ? pod : { ...pod, fieldPath };
    this.#deps.recorder.event(subject, type, reason, message);
  }
}

// After a failed pull the pod is looked at again at once, to show the back-off.
const SOON_MS = 1000;

const backoffKey = (pod: Pod, wanted: WantedImage): string => `${pod.metadata.uid}/${wanted.image}`;

function seconds(ms: number): string {
  return ms < 1000 ? `${ms}ms` : `${(ms / 1000).toFixed(3).replace(/\.?0+$/, '')}s`;
}

/** Go's name of a gRPC code: `NOT_FOUND` is `NotFound`. */
function goCode(code: string): string {
  return code
    .toLowerCase()
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
}

/** `:latest` (also implied) is pulled always, everything else once. */
export function defaultPullPolicy(image: string): string {
  return normalizeImage(image).endsWith(':latest') ? 'Always' : 'IfNotPresent';
}

/** A name with neither tag nor digest means `:latest`. */
export function normalizeImage(image: string): string {
  const last = image.slice(image.lastIndexOf('/') + 1);
  return image === '' || last.includes(':') || last.includes('@') ? image : `${image}:latest`;
}
