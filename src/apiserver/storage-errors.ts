import { ApiError } from '../api/errors.ts';
import { StorageError } from '../storage/storage.ts';

/** What the store could not do, as the API words it; anything else as it is. */
export function asApiError(err: unknown): unknown {
  if (!(err instanceof StorageError)) return err;
  if (err.kind === 'no-space') {
    return new ApiError(
      'InternalError',
      'Internal error occurred: no space left on the disk of the store',
      { cause: err },
    );
  }
  return new ApiError('ServiceUnavailable', err.message, { cause: err });
}
