import { ApiError } from '../api/errors.ts';
import { isStorageError, StorageError } from '../storage/storage.ts';

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

/** Whether the store cannot be asked from here, as `asApiError` words it: from another API server it may be. */
export function isStoreAway(err: unknown): boolean {
  return err instanceof ApiError && isStorageError(err.cause, 'unavailable');
}
