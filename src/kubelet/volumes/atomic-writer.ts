import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** One file of a volume that the kubelet writes. */
export interface ProjectedFile {
  readonly data: Uint8Array;
  readonly mode: number;
  /** Whose it is; root's by default. */
  readonly uid?: number;
}

/** Path below the volume → file. */
export type Payload = ReadonlyMap<string, ProjectedFile>;

const DATA = '..data';

/**
 * Makes a directory hold just these files, so that a reader sees all old or all new ones: they are written to a
 * fresh directory `..TIME`, the link `..data` is moved to it in one step, and each visible name is a link through
 * `..data`. Every Pod has such a volume for its token: a few dozen calls for files of a few kilobytes on a local disk,
 * each of which takes less time than to hand it to another thread.
 */
export function writeAtomically(
  directory: string,
  payload: Payload,
  gid = 0,
  now = new Date(),
): void {
  const stamp = now.toISOString().replaceAll(/[-:T]/g, '_').replace('Z', '');
  const fresh = `..${stamp}.${createHash('sha256').update(`${stamp}${process.hrtime.bigint()}`).digest('hex').slice(0, 9)}`;
  writeFiles(join(directory, fresh), payload, gid);
  // A crash may have left the link that was to be renamed.
  rmSync(join(directory, `${DATA}_tmp`), { force: true });
  symlinkSync(fresh, join(directory, `${DATA}_tmp`));
  renameSync(join(directory, `${DATA}_tmp`), join(directory, DATA));
  linkVisibleNames(directory, payload);
  removeOtherVersions(directory, fresh);
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

function removeOtherVersions(directory: string, current: string): void {
  for (const name of readdirSync(directory)) {
    if (!name.startsWith('..') || name === current || name === DATA) continue;
    rmSync(join(directory, name), { recursive: true, force: true });
  }
}

function writeFiles(directory: string, payload: Payload, gid: number): void {
  mkdirSync(directory, { mode: 0o755 });
  // The mode of mkdir is masked by the umask; containers of any user must get in.
  chmodSync(directory, 0o755);
  for (const [path, file] of payload) {
    const { uid = 0 } = file;
    const target = join(directory, path);
    if (path.includes('/')) mkdirSync(dirname(target), { recursive: true, mode: 0o755 });
    writeFileSync(target, file.data, { mode: file.mode });
    if (uid !== 0 || gid !== 0) chownSync(target, uid, gid);
    chmodSync(target, file.mode);
  }
}

/** One link per first part of a path; links whose file is gone are removed. */
function linkVisibleNames(directory: string, payload: Payload): void {
  const wanted = new Set([...payload.keys()].map((path) => path.split('/')[0] ?? path));
  for (const name of wanted) {
    if (!exists(join(directory, name))) {
      symlinkSync(join(DATA, name), join(directory, name));
    }
  }
  for (const name of readdirSync(directory)) {
    if (name.startsWith('..') || wanted.has(name)) continue;
    rmSync(join(directory, name), { recursive: true, force: true });
  }
}

/** Also when it is a link that leads nowhere. */
function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
