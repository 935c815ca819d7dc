import { readdir } from 'node:fs/promises';
import { errnoOf } from '../util/errors.ts';

/** What is in a directory; nothing when there is none. */
export async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (err) {
    if (errnoOf(err) === 'ENOENT' || errnoOf(err) === 'ENOTDIR') return [];
    throw err;
  }
}
