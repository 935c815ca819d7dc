import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf } from '../util/errors.ts';

/** Private keys and whatever holds one. */
export const SECRET_MODE = 0o600;
export const PUBLIC_MODE = 0o644;

/** The text of a file, or undefined when there is none. */
export function readIfExists(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (err) {
    if (errnoOf(err) === 'ENOENT') return undefined;
    throw err;
  }
}

/**
 * Writes a file as a whole: readers see the old text or the new one. A file that already says so is left
 * alone, and the answer tells whether it was written.
 */
export function writeWhole(path: string, text: string, mode = PUBLIC_MODE): boolean {
  if (readIfExists(path) === text) return false;
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, text, { mode });
  renameSync(temporary, path);
  return true;
}
