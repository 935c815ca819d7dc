import { errorMessage } from '../../../util/errors.ts';
import { RpcError } from '../../../util/grpc.ts';

const CODES: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  404: 'NOT_FOUND',
  409: 'ALREADY_EXISTS',
  501: 'UNIMPLEMENTED',
};

const statusOf = (err: unknown): number => (err as { statusCode?: number }).statusCode ?? 0;

export const isMissing = (err: unknown): boolean => statusOf(err) === 404;
/** Already so: started, stopped, or being removed. */
export const isUnchanged = (err: unknown): boolean =>
  statusOf(err) === 304 || statusOf(err) === 409;

/** An error of the engine as a CRI runtime would have told it. */
export function translated(method: string, err: unknown): RpcError {
  if (err instanceof RpcError) return err;
  const { json, code } = err as { json?: { message?: string }; code?: string };
  const isAway = code === 'ECONNREFUSED' || code === 'ENOENT' || code === 'ECONNRESET';
  const name = isAway ? 'UNAVAILABLE' : (CODES[statusOf(err)] ?? 'UNKNOWN');
  return new RpcError(method, name, json?.message ?? errorMessage(err), err);
}

export async function orUndefined<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (err) {
    if (isMissing(err)) return undefined;
    throw err;
  }
}

/** What is already so is no failure. */
export async function unlessUnchanged(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (err) {
    if (!isMissing(err) && !isUnchanged(err)) throw err;
  }
}
