import { chmod, chown, lstat, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseQuantity, wholeValue } from '../../api/quantity.ts';
import type { Pod, Volume } from '../../api/types.ts';
import { isMountPoint, type Mounts } from '../../host/mounts.ts';
import { errorMessage } from '../../util/errors.ts';
import type { PodFacts } from '../downward.ts';
import { type Payload, payloadDigest, writeAtomically } from './atomic-writer.ts';
import { checkHostPath } from './host-path.ts';
import { commonUser, type ProjectionDeps, projectedFiles } from './projection.ts';

/** A volume as it stands on the node, ready to be mounted into containers. */
export interface MountedVolume {
  readonly hostPath: string;
  readonly readOnly: boolean;
}

/** A volume could not be made ready. The message is the FailedMount event's. */
export class VolumeError extends Error {
  override readonly name = 'VolumeError';
  readonly volume: string;

  constructor(volume: string, cause: unknown) {
    super(`MountVolume.SetUp failed for volume "${volume}" : ${errorMessage(cause)}`, { cause });
    this.volume = volume;
  }
}

export interface VolumeDeps extends ProjectionDeps {
  mounts: Mounts;
  /** --root-dir. */
  rootDir: string;
}

/** Makes a pod's volumes ready and takes them away again. Both are safe to repeat. */
export class VolumeManager {
  readonly #deps: VolumeDeps;
  // What each projected volume held when it was last written, so that a sync without news writes nothing.
  readonly #written = new Map<string, string>();
  #memoryReady: Promise<void> | undefined;

  constructor(deps: VolumeDeps) {
    this.#deps = deps;
  }

  podDir(uid: string): string {
    return join(this.#deps.rootDir, 'pods', uid);
  }

  async setUp(pod: Pod, facts: PodFacts): Promise<Map<string, MountedVolume>> {
    const mounted = new Map<string, MountedVolume>();
    for (const volume of pod.spec?.volumes ?? []) {
      try {
        mounted.set(volume.name, await this.#setUpOne(pod, volume, facts));
      } catch (err) {
        throw new VolumeError(volume.name, err);
      }
    }
    return mounted;
  }

  async tearDown(uid: string): Promise<void> {
    const { mounts } = this.#deps;
    const directories = [this.podDir(uid), join(this.#memoryDir(), uid)];
    for (const point of (await mounts.list()).reverse()) {
      if (directories.some((d) => point.path.startsWith(`${d}/`))) await mounts.unmount(point.path);
    }
    for (const directory of directories) await removeWithinFilesystem(directory);
    for (const path of this.#written.keys()) {
      if (path.includes(`/${uid}/`)) this.#written.delete(path);
    }
  }

  /** Pods of which a directory is left. */
  async podsOnDisk(): Promise<string[]> {
    try {
      return await readdir(join(this.#deps.rootDir, 'pods'));
    } catch {
      return [];
    }
  }

  async #setUpOne(pod: Pod, volume: Volume, facts: PodFacts): Promise<MountedVolume> {
    if (volume.hostPath) {
      await checkHostPath(volume.hostPath);
      return { hostPath: volume.hostPath.path, readOnly: false };
    }
    if (volume.emptyDir) return this.#emptyDir(pod, volume);
    const files = await projectedFiles(pod, volume, facts, this.#deps);
    if (!files) throw new Error(`no volume plugin matched name: ${volume.name}`);
    return this.#projected(pod, volume, files);
  }

  async #emptyDir(pod: Pod, volume: Volume): Promise<MountedVolume> {
    const { medium = '', sizeLimit } = volume.emptyDir ?? {};
    const path = this.#volumeDir(pod, 'empty-dir', volume.name);
    const fresh = await makeDirectory(path);
    if (medium === 'Memory') {
      const { mounts } = this.#deps;
      if (!(await isMountPoint(mounts, path))) {
        const size = sizeLimit === undefined ? [] : [`size=${sizeInBytes(sizeLimit)}`];
        await mounts.mount({ source: 'tmpfs', target: path, fsType: 'tmpfs', options: size });
      }
    } else if (medium !== '') {
      throw new Error(`unknown storage medium ${JSON.stringify(medium)}`);
    }
    if (fresh) await openToContainers(path, pod);
    return { hostPath: path, readOnly: false };
  }

  /** Files that may be secret live in memory: one tmpfs for all pods, which costs a pod no mount. */
  async #projected(pod: Pod, volume: Volume, files: Payload): Promise<MountedVolume> {
    this.#memoryReady ??= this.#mountMemory();
    await this.#memoryReady;
    const path = join(this.#memoryDir(), pod.metadata.uid, volume.name);
    const digest = payloadDigest(files);
    if (this.#written.get(path) !== digest) {
      await makeDirectory(path);
      await chmod(path, 0o755);
      const gid = pod.spec?.securityContext?.fsGroup;
      await writeAtomically(path, withGroupAccess(files, gid), {
        gid,
        uid: gid === undefined && hasToken(volume) ? commonUser(pod) : undefined,
      });
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
    await mounts.mount({
      source: 'tmpfs',
      target: path,
      fsType: 'tmpfs',
      options: ['mode=0711', 'nosuid', 'nodev'],
    });
  }
}

const hasToken = (volume: Volume): boolean =>
  (volume.projected?.sources ?? []).some((s) => s.serviceAccountToken !== undefined);

/** With an fsGroup the group may read what the owner may. */
function withGroupAccess(files: Payload, gid: number | undefined): Payload {
  if (gid === undefined) return files;
  return new Map(
    [...files].map(([path, { data, mode }]) => [
      path,
      { data, mode: mode | ((mode >> 3) & 0o040) },
    ]),
  );
}

/** Answers whether the directory is new. */
async function makeDirectory(path: string): Promise<boolean> {
  return (await mkdir(path, { recursive: true, mode: 0o750 })) !== undefined;
}

/** Any user of the pod may write an emptyDir; an fsGroup owns it and hands itself down to new files. */
async function openToContainers(path: string, pod: Pod): Promise<void> {
  const gid = pod.spec?.securityContext?.fsGroup;
  if (gid !== undefined) await chown(path, 0, gid);
  await chmod(path, gid === undefined ? 0o777 : 0o2777);
}

function sizeInBytes(quantity: string): number {
  return wholeValue(parseQuantity(quantity));
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
