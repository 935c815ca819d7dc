import { closeSync, existsSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** The file that holds everything; its name is lmdb's. */
export const DATA_FILE = 'data.mdb';
/** Says how to read it. Written behind the first commit, so that a data file that is gone later is missed. */
export const FORMAT_FILE = 'format';
export const FORMAT = 'k8ts-store/v2\n';

export function writeFormat(directory: string): void {
  const file = join(directory, FORMAT_FILE);
  if (existsSync(file)) return;
  const fd = openSync(file, 'w', 0o600);
  writeSync(fd, FORMAT);
  fsyncSync(fd);
  closeSync(fd);
  syncDirectory(directory);
}

/** Makes new names in a directory durable. */
export function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r');
  fsyncSync(fd);
  closeSync(fd);
}
