import { readFile, writeFile } from 'node:fs/promises';
import { errnoOf } from '../util/errors.ts';

/** Kernel parameters by their path below /proc/sys, as `net/ipv4/ip_forward`. */
export interface Sysctl {
  /** undefined when this kernel has no such parameter. */
  get(name: string): Promise<string | undefined>;
  /** Answers whether it holds the value now; false when the parameter is missing or may not be written here. */
  set(name: string, value: string): Promise<boolean>;
}

export const sysctl: Sysctl = { get, set };

async function get(name: string): Promise<string | undefined> {
  try {
    return (await readFile(`/proc/sys/${name}`, 'utf8')).trim();
  } catch (err) {
    if (errnoOf(err) === 'ENOENT') return undefined;
    throw err;
  }
}

async function set(name: string, value: string): Promise<boolean> {
  const current = await get(name);
  if (current === undefined) return false;
  if (current === value) return true;
  try {
    await writeFile(`/proc/sys/${name}`, value);
    return true;
  } catch (err) {
    if (['EACCES', 'EPERM', 'EROFS', 'EINVAL'].includes(errnoOf(err) ?? '')) return false;
    throw err;
  }
}
