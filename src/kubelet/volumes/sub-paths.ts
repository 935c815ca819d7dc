import { constants } from 'node:fs';
import {
  chmod,
  type FileHandle,
  mkdir,
  open,
  readFile,
  realpath,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import type { Container, Pod } from '../../api/types.ts';
import { isMountPoint, type Mounts } from '../../host/mounts.ts';
import { errnoOf } from '../../util/errors.ts';
import type { PodDirs } from '../pod-dirs.ts';
import type { MountedVolume } from './volume-error.ts';

export interface SubPathRequest {
  pod: Pod;
  container: Container;
  volume: MountedVolume;
  mount: { name: string; readOnly?: boolean | undefined };
  /** Position of the mount in the container. */
  index: number;
  subPath: string;
}

/** Binds a path inside a volume to a place of ours, so that no symbolic link in the volume can lead out of it. */
export class SubPaths {
  readonly #deps: { mounts: Mounts; dirs: PodDirs };

  constructor(deps: { mounts: Mounts; dirs: PodDirs }) {
    this.#deps = deps;
  }

  /** Answers the host path to hand to the runtime. A missing path is made as a directory. */
  async prepare({
    pod,
    container,
    volume,
    mount,
    index,
    subPath,
  }: SubPathRequest): Promise<string> {
    const { mounts, dirs } = this.#deps;
    const parts = [dirs.pod(pod.metadata.uid), 'volume-subpaths', mount.name, container.name];
    const target = join(...parts, String(index));
    if (await isMountPoint(mounts, target)) await mounts.unmount(target);
    const handle = await openInside(volume.hostPath, subPath, !volume.readOnly);
    try {
      const isDirectory = (await handle.stat()).isDirectory();
      await mkdir(isDirectory ? target : join(...parts), { recursive: true, mode: 0o750 });
      if (!isDirectory) await writeFile(target, '', { flag: 'a' });
      // The open handle, not the path: what was checked is what gets mounted.
      const source = `/proc/${process.pid}/fd/${handle.fd}`;
      await mounts.mount({ source, target, options: ['bind'] });
      return target;
    } finally {
      await handle.close();
    }
  }
}

/** The text of a file inside a volume, whatever links the volume holds; undefined when there is none. */
export async function readInside(root: string, path: string): Promise<string | undefined> {
  try {
    await using handle = await openInside(root, path, false);
    return await readFile(`/proc/${process.pid}/fd/${handle.fd}`, 'utf8');
  } catch (err) {
    if (errnoOf(err) === 'ENOENT') return undefined;
    throw err;
  }
}

// The kernel's O_PATH: names a file without opening it. Node has no name for it.
const O_PATH = 0o10000000;

/**
 * Walks down from the volume one name at a time. A symbolic link is followed only as far as it stays inside the
 * volume, by starting over with the path that it stands for. Directories that are made are as open as the volume.
 */
async function openInside(root: string, subPath: string, mayCreate: boolean): Promise<FileHandle> {
  const resolved = await resolveInside(root, subPath);
  let handle = await open(root, constants.O_DIRECTORY | O_PATH);
  const mode = mayCreate ? (await handle.stat()).mode & 0o7777 : undefined;
  for (const name of resolved) {
    const parent = handle;
    try {
      handle = await openChild(parent, name, mode);
    } finally {
      await parent.close();
    }
  }
  return handle;
}

async function openChild(
  parent: FileHandle,
  name: string,
  mode: number | undefined,
): Promise<FileHandle> {
  const path = `/proc/self/fd/${parent.fd}/${name}`;
  try {
    return await openNoLink(path);
  } catch (err) {
    if (errnoOf(err) !== 'ENOENT' || mode === undefined) throw err;
    await mkdir(path, { mode });
    const made = await openNoLink(path);
    // The process's mask took something away.
    await chmod(`/proc/self/fd/${made.fd}`, mode);
    return made;
  }
}

async function openNoLink(path: string): Promise<FileHandle> {
  const handle = await open(path, constants.O_NOFOLLOW | O_PATH);
  if ((await handle.stat()).isSymbolicLink()) {
    await handle.close();
    throw new Error(`subpath leads through a symbolic link that changed while it was read`);
  }
  return handle;
}

/** The names to walk after links were resolved; throws when they leave the volume. */
async function resolveInside(root: string, subPath: string): Promise<string[]> {
  const realRoot = await realpath(root);
  const wanted = subPath.split('/').filter((part) => part !== '' && part !== '.');
  // Parts that do not exist yet have no links to resolve.
  for (let known = wanted.length; known >= 0; known--) {
    const path = join(realRoot, ...wanted.slice(0, known));
    const real = await realpath(path).catch((err: unknown) => {
      if (errnoOf(err) === 'ENOENT') return undefined;
      throw err;
    });
    if (real === undefined) continue;
    if (real !== realRoot && !real.startsWith(`${realRoot}/`)) {
      throw new Error(`subpath ${JSON.stringify(subPath)} not within volume path`);
    }
    const inside = real
      .slice(realRoot.length)
      .split('/')
      .filter((part) => part !== '');
    return [...inside, ...wanted.slice(known)];
  }
  return wanted;
}
