import { isNotFound } from '../api/errors.ts';

/** The answer of a write; undefined where the object went meanwhile: then nothing is left to do. */
export async function unlessGone<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (err) {
    if (isNotFound(err)) return undefined;
    throw err;
  }
}
