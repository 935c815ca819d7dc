import { readFile } from 'node:fs/promises';
import { run } from './exec.ts';

export interface MountPoint {
  readonly path: string;
  readonly fsType: string;
  readonly source: string;
  /** Options of this mount and of its file system. */
  readonly options: readonly string[];
}

export interface MountOptions {
  source: string;
  target: string;
  /** Absent for a bind mount. */
  fsType?: string | undefined;
  options?: readonly string[] | undefined;
}

/** Mounts of this process's mount namespace. */
export interface Mounts {
  list(): Promise<MountPoint[]>;
  mount(what: MountOptions, signal?: AbortSignal): Promise<void>;
  /** Unmounts what is mounted last at `target`; a busy one is detached and goes when its last user does. */
  unmount(target: string, signal?: AbortSignal): Promise<void>;
}

export const hostMounts: Mounts = {
  list: async () => parseMountInfo(await readFile('/proc/self/mountinfo', 'utf8')),
  async mount({ source, target, fsType, options = [] }, signal) {
    const args = ['--no-canonicalize'];
    if (fsType !== undefined) args.push('-t', fsType);
    if (options.length > 0) args.push('-o', options.join(','));
    await run('mount', [...args, source, target], {}, signal);
  },
  async unmount(target, signal) {
    // 32 is "not mounted": somebody was quicker.
    await run(
      'umount',
      ['--lazy', '--no-canonicalize', target],
      { acceptExitCodes: [0, 32] },
      signal,
    );
  },
};

export async function isMountPoint(mounts: Mounts, path: string): Promise<boolean> {
  return (await mounts.list()).some((m) => m.path === path);
}

/** proc_pid_mountinfo(5): six fields, optional ones, a dash, file system type, source, options. */
export function parseMountInfo(text: string): MountPoint[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [left = '', right = ''] = line.split(' - ');
      const fields = left.split(' ');
      const [fsType = '', source = '', superOptions = ''] = right.split(' ');
      return {
        path: unescapeOctal(fields[4] ?? ''),
        fsType,
        source: unescapeOctal(source),
        options: [...(fields[5] ?? '').split(','), ...superOptions.split(',')],
      };
    });
}

/** The kernel writes blanks in paths as `\040`. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
