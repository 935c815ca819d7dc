import { lstat, opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../util/errors.ts';

/** What a directory tree takes up on its file system. */
export interface DiskUsage {
  readonly bytes: number;
  readonly inodes: number;
}

const BLOCK = 512;

/**
 * Like `du`: blocks in use, each file of several names once, other file systems left out. What vanishes meanwhile
 * does not count; a tree that is not there takes up nothing.
 */
export async function diskUsage(path: string): Promise<DiskUsage> {
  const seen = new Set<number>();
  let bytes = 0;
  const root = await orUndefined(lstat(path));
  if (!root) return { bytes: 0, inodes: 0 };
  const pending = [path];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    const facts = await orUndefined(lstat(at));
    if (!facts || facts.dev !== root.dev || seen.has(facts.ino)) continue;
    seen.add(facts.ino);
    bytes += facts.blocks * BLOCK;
    if (!facts.isDirectory()) continue;
    for await (const { name } of (await orUndefined(opendir(at))) ?? [])
      pending.push(join(at, name));
  }
  return { bytes, inodes: seen.size };
}

/** Whether something is mounted at the directory. */
export async function isOtherFilesystem(path: string): Promise<boolean> {
  const [own, above] = await Promise.all([stat(path), stat(join(path, '..'))]);
  return own.dev !== above.dev;
}

async function orUndefined<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (err) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(errnoOf(err) ?? '')) return undefined;
    throw err;
  }
}
