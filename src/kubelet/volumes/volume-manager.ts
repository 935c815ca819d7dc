import { chmodSync, chownSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { lstat, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseQuantity, wholeValue } from '../../api/quantity.ts';
import type { Pod, Volume } from '../../api/types.ts';
import { isMountPoint, type Mounts } from '../../host/mounts.ts';
import { inlineCsiVolume } from '../csi/csi-volume.ts';
import type { CsiVolumes } from '../csi/csi-volumes.ts';
import { namesIn } from '../directory.ts';
import type { PodFacts } from '../downward.ts';
import { podResources } from '../resources.ts';
import { type Payload, payloadDigest, writeAtomically } from './atomic-writer.ts';
import { checkHostPath } from './host-path.ts';
import type { ImageVolumes } from './image-volumes.ts';
import type { MemoryMounts } from './memory-mounts.ts';
import { mountNfs, type PersistentVolumes } from './persistent-volumes.ts';
import { type ProjectionDeps, projectedFiles } from './projection.ts';
import { type MountedVolume, setUpFailed } from './volume-error.ts';

export interface VolumeDeps extends ProjectionDeps {
  mounts: Mounts;
  memory: MemoryMounts;
  /** --root-dir. */
  rootDir: string;
  persistent: PersistentVolumes;
  csi: CsiVolumes;
  images: ImageVolumes;
}

/** Makes a pod's volumes ready and takes them away again. Both are safe to repeat. */
export class VolumeManager {
  readonly #deps: VolumeDeps;
  // What each projected volume held when it was last written, so that a sync without news writes nothing.
  readonly #written = new Map<string, string>();
  // Volumes from outside, mounted once for a pod: `UID/NAME`.
  readonly #mounted = new Map<string, MountedVolume>();
  #memoryReady: Promise<void> | undefined;

  constructor(deps: VolumeDeps) {
    this.#deps = deps;
  }

  podDir(uid: string): string {
    return join(this.#deps.rootDir, 'pods', uid);
  }

  async setUp(pod: Pod, facts: PodFacts): Promise<Map<string, MountedVolume>> {
    const mounted = await Promise.allSettled(
      (pod.spec?.volumes ?? []).map(async (volume) => {
        try {
          return [volume.name, await this.#setUpOne(pod, volume, facts)] as const;
        } catch (err) {
          throw setUpFailed(volume.name, err);
        }
      }),
    );
    const failed = mounted.find((m) => m.status === 'rejected');
    if (failed) throw failed.reason;
    return new Map(mounted.flatMap((m) => (m.status === 'fulfilled' ? [m.value] : [])));
  }

  async tearDown(uid: string): Promise<void> {
    const { mounts, csi, images } = this.#deps;
    const own = this.podDir(uid);
    const memory = join(this.#memoryDir(), uid);
    for (const { path } of (await mounts.list()).reverse()) {
      const ours = path.startsWith(`${own}/`) || path.startsWith(`${memory}/`);
      if (ours && !csi.owns(uid, path)) await mounts.unmount(path);
    }
    await removeWithinFilesystem(memory);
    await images.tearDown(uid);
    // Last: a driver that does not answer keeps no secrets here, and finds its volumes in nobody's use.
    await csi.tearDown(uid);
    await removeWithinFilesystem(own);
    for (const path of this.#written.keys()) {
      if (path.includes(`/${uid}/`)) this.#written.delete(path);
    }
    for (const key of this.#mounted.keys()) {
      if (key.startsWith(`${uid}/`)) this.#mounted.delete(key);
    }
  }

  /** Volumes from outside that the pod has mounted, each with where it is. */
  mountedFromOutside(uid: string): { name: string; hostPath: string }[] {
    const prefix = `${uid}/`;
    return [...this.#mounted]
      .filter(([key, { isDevice, image }]) => key.startsWith(prefix) && !isDevice && !image)
      .map(([key, { hostPath }]) => ({ name: key.slice(prefix.length), hostPath }));
  }

  /** Volumes of files that follow what they show, each with where it is. */
  projected(uid: string): { name: string; hostPath: string }[] {
    const prefix = `${join(this.#memoryDir(), uid)}/`;
    return [...this.#written.keys()]
      .filter((path) => path.startsWith(prefix))
      .map((hostPath) => ({ name: hostPath.slice(prefix.length), hostPath }));
  }

  /** Pods of which a directory is left, on disk or in memory. */
  async podsOnDisk(): Promise<string[]> {
    const parents = [join(this.#deps.rootDir, 'pods'), this.#memoryDir()];
    const names = await Promise.all(parents.map(namesIn));
    return [...new Set(names.flat())];
  }

  async #setUpOne(pod: Pod, volume: Volume, facts: PodFacts): Promise<MountedVolume> {
    if (volume.hostPath) {
      await checkHostPath(volume.hostPath);
      return { hostPath: volume.hostPath.path, readOnly: false };
    }
    if (volume.emptyDir) return this.#emptyDir(pod, volume);
    if (volume.image) {
      const { reference = '', pullPolicy } = volume.image;
      return { hostPath: '', readOnly: true, image: { reference, pullPolicy } };
    }
    const files = await projectedFiles(pod, volume, facts, this.#deps);
    if (files) return this.#projected(pod, volume, files);
    const key = `${pod.metadata.uid}/${volume.name}`;
    const mounted = this.#mounted.get(key) ?? (await this.#fromOutside(pod, volume));
    this.#mounted.set(key, mounted);
    return mounted;
  }

  async #fromOutside(pod: Pod, volume: Volume): Promise<MountedVolume> {
    const { persistent, csi } = this.#deps;
    if (volume.csi) return csi.setUp(pod, inlineCsiVolume(pod, volume.name, volume.csi));
    if (volume.nfs) {
      const { nfs: source, name } = volume;
      const readOnly = source.readOnly === true;
      const options = readOnly ? ['ro'] : [];
      return mountNfs(this.#deps, pod, { name, source, options, readOnly });
    }
    const found = await persistent.setUp(pod, volume);
    if (found) return found;
    const kind = Object.keys(volume).find((field) => field !== 'name') ?? 'none';
    throw new Error(`no volume plugin matched: volumes of type ${kind} are not supported here`);
  }

  async #emptyDir(pod: Pod, volume: Volume): Promise<MountedVolume> {
    const { medium = '', sizeLimit } = volume.emptyDir ?? {};
    const path = this.#volumeDir(pod, 'empty-dir', volume.name);
    const gid = pod.spec?.securityContext?.fsGroup;
    if (medium === 'Memory') {
      const { mounts } = this.#deps;
      makeDirectory(path);
      if (!(await isMountPoint(mounts, path))) {
        const size = memorySize(pod, sizeLimit, this.#deps.allocatable());
        const owner = gid === undefined ? ['mode=1777'] : ['mode=3777', `gid=${gid}`];
        const options = [`size=${size}`, ...owner];
        await this.#deps.memory.mount(path, options);
      }
    } else if (medium !== '') {
      throw new Error(`unknown storage medium ${JSON.stringify(medium)}`);
    } else if (!existsSync(path)) {
      makeOpenDirectory(path, gid);
    }
    return { hostPath: path, readOnly: false };
  }

  /** Files that may be secret live in memory: one tmpfs for all pods, which costs a pod no mount. */
  async #projected(pod: Pod, volume: Volume, files: Payload): Promise<MountedVolume> {
    this.#memoryReady ??= this.#mountMemory();
    await this.#memoryReady;
    const path = join(this.#memoryDir(), pod.metadata.uid, volume.name);
    const digest = payloadDigest(files);
    if (this.#written.get(path) !== digest) {
      makeDirectory(path);
      chmodSync(path, 0o755);
      const gid = pod.spec?.securityContext?.fsGroup;
      writeAtomically(path, withGroupAccess(files, gid), gid);
      this.#written.set(path, digest);
    }
    return { hostPath: path, readOnly: true };
  }

  #memoryDir(): string {
    return join(this.#deps.rootDir, 'memory-volumes');
  }

  #volumeDir(pod: Pod, plugin: string, name: string): string {
    return join(this.podDir(pod.metadata.uid), 'volumes', `kubernetes.io~${plugin}`, name);
  }

  async #mountMemory(): Promise<void> {
    const { mounts } = this.#deps;
    const path = this.#memoryDir();
    await mkdir(path, { recursive: true, mode: 0o711 });
    if (await isMountPoint(mounts, path)) return;
    await this.#deps.memory.mount(path, ['mode=0711', 'nosuid', 'nodev']);
  }
}

// What an fsGroup adds to files that nobody writes.
const READABLE = 0o440;

/** The fsGroup may read every file. */
function withGroupAccess(files: Payload, gid: number | undefined): Payload {
  if (gid === undefined) return files;
  return new Map([...files].map(([path, file]) => [path, { ...file, mode: file.mode | READABLE }]));
}

function makeDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o750 });
}

/**
 * Any user of the pod may write an emptyDir; an fsGroup owns it and hands itself down to new files. It has its name when
 * all of this is so: a kubelet that is killed meanwhile leaves no closed one.
 */
function makeOpenDirectory(path: string, gid: number | undefined): void {
  const unnamed = `${path}.new`;
  makeDirectory(unnamed);
  if (gid !== undefined) chownSync(unnamed, 0, gid);
  chmodSync(unnamed, gid === undefined ? 0o777 : 0o2777);
  renameSync(unnamed, path);
}

/** Bytes that a memory-backed emptyDir may hold: no more than its limit, the pod's memory, the node's. */
function memorySize(
  pod: Pod,
  sizeLimit: string | undefined,
  allocatable: Readonly<Record<string, string>>,
): number {
  const bounds = [sizeLimit, allocatable.memory]
    .filter((text) => text !== undefined)
    .map((text) => wholeValue(parseQuantity(text)));
  return Math.min(...[...bounds, podResources(pod).memoryLimit].filter((bytes) => bytes > 0));
}

/** Deletes a directory, but never anything that is still mounted below it. */
async function removeWithinFilesystem(path: string): Promise<void> {
  const own = await deviceOf(path);
  if (own === undefined) return;
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const child = join(path, entry.name);
    if (!entry.isDirectory()) await rm(child, { force: true });
    else if ((await deviceOf(child)) === own) await removeWithinFilesystem(child);
    else throw new Error(`${child} is still mounted`);
  }
  await rm(path, { recursive: true, force: true });
}

async function deviceOf(path: string): Promise<number | undefined> {
  try {
    return (await lstat(path)).dev;
  } catch {
    return undefined;
  }
}
