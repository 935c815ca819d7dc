import type { Stats } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { errnoOf } from '../../util/errors.ts';

interface Kind {
  /** As upstream's message names it. */
  readonly name: string;
  readonly is: (stats: Stats) => boolean;
}

const KINDS: Record<string, Kind> = {
  Directory: { name: 'a directory', is: (s) => s.isDirectory() },
  File: { name: 'a file', is: (s) => s.isFile() },
  Socket: { name: 'a socket', is: (s) => s.isSocket() },
  CharDevice: { name: 'a character device', is: (s) => s.isCharacterDevice() },
  BlockDevice: { name: 'a block device', is: (s) => s.isBlockDevice() },
};

/** Sees to it that a hostPath is what its type says, and makes it where the type allows that. */
export async function checkHostPath(source: {
  path: string;
  type?: string | undefined;
}): Promise<void> {
  const { path, type = '' } = source;
  if (type === '') return;
  let stats = await statOf(path);
  if (!stats && type === 'DirectoryOrCreate') await mkdir(path, { recursive: true, mode: 0o755 });
  if (!stats && type === 'FileOrCreate') await (await open(path, 'a', 0o644)).close();
  stats ??= await statOf(path);
  const kind = KINDS[type.replace('OrCreate', '')];
  if (!kind) throw new Error(`hostPath type ${JSON.stringify(type)} is not supported`);
  if (!stats || !kind.is(stats)) {
    throw new Error(`hostPath type check failed: ${path} is not ${kind.name}`);
  }
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (err) {
    if (errnoOf(err) === 'ENOENT') return undefined;
    throw err;
  }
}
