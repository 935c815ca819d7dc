import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isMountPoint, type Mounts } from '../../host/mounts.ts';
import { namesIn } from '../directory.ts';
import type { ContainerRuntime, Image } from '../runtime/runtime.ts';

export interface ImageVolumesDeps {
  runtime: ContainerRuntime;
  mounts: Mounts;
  /** --root-dir. */
  rootDir: string;
}

// KEP-4639: read-only, and nothing in it is run.
const OPTIONS = ['ro', 'noexec'];

/** Images as volumes: mounted here where the runtime does not do it by itself. */
export class ImageVolumes {
  readonly #deps: ImageVolumesDeps;

  constructor(deps: ImageVolumesDeps) {
    this.#deps = deps;
  }

  /** Where the image's files are; undefined when the runtime mounts the image into the container. */
  async mount(
    podUid: string,
    volume: string,
    image: Image,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { runtime, mounts } = this.#deps;
    const target = join(this.#directory(podUid), volume);
    if (await isMountPoint(mounts, target)) return target;
    // First: by its directory the view is found again, whatever comes between.
    await mkdir(target, { recursive: true, mode: 0o750 });
    const view = await runtime.viewImage({ image: image.id }, viewKey(podUid, volume), signal);
    if (!view) return undefined;
    const [what, ...more] = view;
    if (!what || more.length > 0) throw new Error('the image is made of several mounts');
    const isBind = what.type === 'bind';
    await mounts.mount({
      source: what.source,
      target,
      fsType: isBind ? undefined : what.type,
      options: [...what.options.filter((option) => option !== 'ro'), ...OPTIONS],
    });
    return target;
  }

  /** Takes away every image volume of a pod. */
  async tearDown(podUid: string): Promise<void> {
    const { runtime, mounts } = this.#deps;
    const parent = this.#directory(podUid);
    for (const volume of await namesIn(parent)) {
      const target = join(parent, volume);
      if (await isMountPoint(mounts, target)) await mounts.unmount(target);
      await runtime.removeImageView(viewKey(podUid, volume));
      await rmdir(target);
    }
  }

  #directory(podUid: string): string {
    return join(this.#deps.rootDir, 'pods', podUid, 'volumes', 'kubernetes.io~image');
  }
}

const viewKey = (podUid: string, volume: string): string => `k8ts-volume-${podUid}-${volume}`;
