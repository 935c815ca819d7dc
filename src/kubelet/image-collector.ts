import type { EventRecorder } from '../client/client.ts';
import { filesystemFacts } from '../host/machine.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import type { PullRecords } from './pull-records.ts';
import type { ContainerRuntime, Image } from './runtime/runtime.ts';

export interface ImageCollectorDeps {
  runtime: ContainerRuntime;
  recorder: EventRecorder;
  clock: Clock;
  log: Logger;
  records: PullRecords;
}

export interface ImageCollectorOptions {
  nodeName: string;
  /** Per cent of the images' file system at which collecting begins, and down to which it goes. */
  high: number;
  low: number;
  /** An image that was seen first less than this ago stays. */
  minimumAgeMs: number;
  /** An image that nobody has used for so long goes; 0 is never. */
  maximumAgeMs: number;
}

/** What is remembered of an image. */
interface Known {
  readonly firstSeen: number;
  lastUsed: number;
}

const PERIOD_MS = 300_000;

/** Removes images that nobody uses when their disk fills up, those not used for longest first. */
export class ImageCollector {
  readonly #deps: ImageCollectorDeps;
  readonly #options: ImageCollectorOptions;
  readonly #known = new Map<string, Known>();

  constructor(deps: ImageCollectorDeps, options: ImageCollectorOptions) {
    this.#deps = deps;
    this.#options = options;
    if (options.low > options.high) {
      throw new Error(
        `imageGCLowThresholdPercent ${options.low} must not be above imageGCHighThresholdPercent ${options.high}`,
      );
    }
  }

  /** Works until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    while (!signal.aborted) {
      try {
        await this.collect(signal);
      } catch (err) {
        if (signal.aborted) return;
        log.warn({ err: errorMessage(err) }, 'Image garbage collection failed');
        this.#tell('ImageGCFailed', errorMessage(err));
      }
      await clock.sleep(PERIOD_MS, signal).catch(() => {});
    }
  }

  /** One round, by the thresholds. */
  async collect(signal: AbortSignal): Promise<void> {
    const { runtime, clock } = this.#deps;
    const { high, low, maximumAgeMs } = this.#options;
    const unused = await this.#unused(signal);
    if (maximumAgeMs > 0) {
      const now = clock.now();
      const old = unused.filter(
        ({ id }) => now - (this.#known.get(id)?.lastUsed ?? now) > maximumAgeMs,
      );
      await this.#remove(old, Infinity, signal);
    }
    const [usage] = await runtime.imageFsInfo(signal);
    const mountpoint = usage?.fsId?.mountpoint;
    if (!mountpoint) return;
    const { capacityBytes, availableBytes } = await filesystemFacts(mountpoint);
    if (capacityBytes === 0) {
      const message = 'invalid capacity 0 on image filesystem';
      this.#tell('InvalidDiskCapacity', message);
      throw new Error(message);
    }
    const percent = 100 - Math.floor((availableBytes * 100) / capacityBytes);
    if (percent < high) return;
    const wanted = Math.floor((capacityBytes * (100 - low)) / 100) - availableBytes;
    const freed = await this.#remove(await this.#unused(signal), wanted, signal);
    if (freed >= wanted) return;
    const message = `Failed to garbage collect required amount of images. Attempted to free ${wanted} bytes, but only found ${freed} bytes eligible to free.`;
    this.#tell('FreeDiskSpaceFailed', message);
  }

  /** Everything that nobody uses, however new: the node is short of disk. */
  async removeUnused(signal: AbortSignal): Promise<number> {
    return this.#remove(await this.#unused(signal, 0), Infinity, signal);
  }

  /** Images without a container that are old enough, those not used for longest first. */
  async #unused(signal: AbortSignal, minimumAgeMs = this.#options.minimumAgeMs): Promise<Image[]> {
    const { runtime, clock } = this.#deps;
    const [images, containers] = await Promise.all([
      runtime.listImages(signal),
      runtime.listContainers(undefined, signal),
    ]);
    const now = clock.now();
    const inUse = new Set(containers.flatMap((c) => [c.imageRef, c.image?.image ?? '']));
    const isUsed = (image: Image): boolean =>
      [image.id, ...image.repoTags, ...image.repoDigests].some((name) => inUse.has(name));
    for (const id of this.#known.keys()) {
      if (!images.some((image) => image.id === id)) this.#known.delete(id);
    }
    for (const image of images) {
      const known = this.#known.get(image.id) ?? { firstSeen: now, lastUsed: now };
      this.#known.set(image.id, known);
      if (isUsed(image)) known.lastUsed = now;
    }
    return images
      .filter((image) => !image.pinned && !isUsed(image) && !isBuiltIn(image))
      .filter(({ id }) => now - (this.#known.get(id)?.firstSeen ?? now) >= minimumAgeMs)
      .sort((a, b) => this.#rank(a.id) - this.#rank(b.id));
  }

  #rank(id: string): number {
    return this.#known.get(id)?.lastUsed ?? 0;
  }

  /** Answers the bytes that were freed; stops when they are enough. */
  async #remove(images: readonly Image[], enough: number, signal: AbortSignal): Promise<number> {
    const { runtime, log, records } = this.#deps;
    let freed = 0;
    for (const image of images) {
      if (freed >= enough) break;
      await runtime.removeImage({ image: image.id }, signal);
      this.#known.delete(image.id);
      await records.removed(image.id);
      freed += image.size;
      log.info({ image: image.repoTags[0] ?? image.id, bytes: image.size }, 'Removed an image');
    }
    return freed;
  }

  #tell(reason: string, message: string): void {
    const { nodeName: name } = this.#options;
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name, uid: name } };
    this.#deps.recorder.event(node, 'Warning', reason, message);
  }
}

/** Images that came with the installation can be had from nowhere else. */
function isBuiltIn({ repoTags }: Image): boolean {
  return repoTags.some((name) => name.startsWith('localhost/k8ts/'));
}
