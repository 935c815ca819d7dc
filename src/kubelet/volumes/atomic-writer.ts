import { createHash } from 'node:crypto';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf } from '../../util/errors.ts';

/** One file of a volume that the kubelet writes. */
export interface ProjectedFile {
  readonly data: Uint8Array;
  readonly mode: number;
}

/** Path below the volume → file. */
export type Payload = ReadonlyMap<string, ProjectedFile>;

export interface Ownership {
  uid?: number | undefined;
  gid?: number | undefined;
}

const DATA = '..data';

/**
 * Makes a directory hold just these files, so that a reader sees all old or all new ones: they are written to a
 * fresh directory `..TIME`, the link `..data` is moved to it in one step, and each visible name is a link through
 * `..data`. Answers the digest by which a later call can be spared.
 */
export async function writeAtomically(
  directory: string,
  payload: Payload,
  owner: Ownership = {},
  now = new Date(),
): Promise<void> {
  const stamp = now.toISOString().replaceAll(/[-:T]/g, '_').replace('Z', '');
  const fresh = `..${stamp}.${createHash('sha256').update(`${stamp}${process.hrtime.bigint()}`).digest('hex').slice(0, 9)}`;
  await writeFiles(join(directory, fresh), payload, owner);
  // A crash may have left the link that was to be renamed.
  await rm(join(directory, `${DATA}_tmp`), { force: true });
  await symlink(fresh, join(directory, `${DATA}_tmp`));
  await rename(join(directory, `${DATA}_tmp`), join(directory, DATA));
  await linkVisibleNames(directory, payload);
  await removeOtherVersions(directory, fresh);
}

/** What decides whether a volume must be written again. */
export function payloadDigest(payload: Payload): string {
  const hash = createHash('sha256');
  for (const path of [...payload.keys()].sort()) {
    const file = payload.get(path);
    hash.update(`${path}\0${file?.mode}\0${file?.data.length}\0`).update(file?.data ?? '');
  }
  return hash.digest('hex');
}

async function removeOtherVersions(directory: string, current: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.startsWith('..') || name === current || name === DATA) continue;
    await rm(join(directory, name), { recursive: true, force: true });
  }
}

async function writeFiles(directory: string, payload: Payload, owner: Ownership): Promise<void> {
  await mkdir(directory, { mode: 0o755 });
  // The mode of mkdir is masked by the umask; containers of any user must get in.
  await chmod(directory, 0o755);
  const { uid = 0, gid = 0 } = owner;
  for (const [path, file] of payload) {
    const target = join(directory, path);
    if (path.includes('/')) await mkdir(dirname(target), { recursive: true, mode: 0o755 });
    await writeFile(target, file.data, { mode: file.mode });
    if (uid !== 0 || gid !== 0) await chown(target, uid, gid);
    await chmod(target, file.mode);
  }
}

/** One link per first part of a path; links whose file is gone are removed. */
async function linkVisibleNames(directory: string, payload: Payload): Promise<void> {
  const wanted = new Set([...payload.keys()].map((path) => path.split('/')[0] ?? path));
  for (const name of wanted) {
    if (!(await exists(join(directory, name)))) {
      await symlink(join(DATA, name), join(directory, name));
    }
  }
  for (const name of await readdir(directory)) {
    if (name.startsWith('..') || wanted.has(name)) continue;
    await rm(join(directory, name), { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (err) {
    if (errnoOf(err) === 'ENOENT') return false;
    throw err;
  }
}
