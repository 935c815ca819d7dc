import { errorMessage } from '../../util/errors.ts';
import { StorageError } from '../storage.ts';

/** etcd's refusals as the storage's. The words are etcd's: it has no codes of its own for them. */
export function translate(err: unknown): StorageError {
  if (err instanceof StorageError) return err;
  const message = errorMessage(err);
  const options = { cause: err };
  if (message.includes('required revision has been compacted')) {
    return new StorageError('compacted', 'Revision has been compacted', options);
  }
  if (message.includes('required revision is a future revision')) {
    return new StorageError('future', 'Revision is to come', options);
  }
  if (message.includes('database space exceeded')) {
    return new StorageError('no-space', 'The database space of etcd is used up', options);
  }
  return new StorageError('unavailable', `etcd: ${message}`, options);
}
