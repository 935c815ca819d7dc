import { chmod, lchown, lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '../../api/types.ts';

const FILE_BITS = 0o660;
const DIRECTORY_BITS = 0o2770;

/**
 * Gives a volume's files to the pod's fsGroup: its group owns them, may read and write, and directories hand it down.
 * With fsGroupChangePolicy OnRootMismatch nothing is done when the volume's root is already so.
 */
export async function applyFsGroup(path: string, pod: Pod): Promise<void> {
  const { fsGroup, fsGroupChangePolicy } = pod.spec?.securityContext ?? {};
  if (fsGroup === undefined) return;
  if (fsGroupChangePolicy === 'OnRootMismatch' && (await isDone(path, fsGroup))) return;
  await giveTo(path, fsGroup);
}

async function isDone(path: string, gid: number): Promise<boolean> {
  const stats = await lstat(path);
  return stats.gid === gid && (stats.mode & DIRECTORY_BITS) === DIRECTORY_BITS;
}

/** Children first: a root that is right means that everything below it was done. */
async function giveTo(path: string, gid: number): Promise<void> {
  const stats = await lstat(path);
  if (stats.isDirectory()) {
    for (const name of await readdir(path)) await giveTo(join(path, name), gid);
  }
  await lchown(path, stats.uid, gid);
  // The mode of a symbolic link means nothing, and changing it would change its target's.
  if (stats.isSymbolicLink()) return;
  await chmod(path, stats.mode | (stats.isDirectory() ? DIRECTORY_BITS : FILE_BITS));
}
