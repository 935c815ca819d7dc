import type { ContainerRuntime, ImageSpec, PodSandboxConfig } from './runtime/runtime.ts';

/** A pull that several pods wait for. */
interface Shared {
  readonly ref: Promise<string>;
  readonly stop: AbortController;
  wanted: number;
}

/** Pulls: so many at a time, and one for all who ask for the same image without credentials. Who waits may leave. */
export class ImagePulls {
  readonly #runtime: Pick<ContainerRuntime, 'pullImage'>;
  readonly #waiting: (() => void)[] = [];
  readonly #shared = new Map<string, Shared>();
  #free: number;

  constructor(runtime: Pick<ContainerRuntime, 'pullImage'>, limit: number) {
    this.#runtime = runtime;
    this.#free = limit;
  }

  /** Waits until a pull may begin. The answer says that it has ended. */
  async turn(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#wait(signal);
    return () => {
      // The turn is handed on: nobody who comes later takes it.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    };
  }

  /** Pulls without credentials. Goes on for as long as somebody wants it. Answers what the runtime calls the image. */
  async anonymous(
    spec: ImageSpec,
    sandbox: PodSandboxConfig,
    signal: AbortSignal,
  ): Promise<string> {
    const pull = this.#shared.get(spec.image) ?? this.#begin(spec, sandbox);
    pull.wanted++;
    try {
      return await orAborted(pull.ref, signal);
    } finally {
      pull.wanted--;
      if (pull.wanted === 0) this.#end(spec, pull);
    }
  }

  #begin(spec: ImageSpec, sandbox: PodSandboxConfig): Shared {
    const stop = new AbortController();
    const ref = this.#runtime.pullImage(spec, undefined, sandbox, stop.signal);
    const pull = { ref, stop, wanted: 0 };
    this.#shared.set(spec.image, pull);
    return pull;
  }

  #end(spec: ImageSpec, pull: Shared): void {
    if (this.#shared.get(spec.image) === pull) this.#shared.delete(spec.image);
    pull.stop.abort();
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (): void => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1);
        reject(signal.reason);
      };
      this.#waiting.push(go);
      signal.addEventListener('abort', leave, { once: true });
    });
  }
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(signal.reason);
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}
