import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { dumpTables, fillDirectory } from './lmdb/dump.ts';
import { DATA_FILE, syncDirectory } from './lmdb/files.ts';
import { checkFiles, openTables } from './lmdb/open-tables.ts';
import { isOwned } from './lmdb/owner.ts';
import { Tables } from './lmdb/tables.ts';
import { readSnapshot, type SnapshotInfo, saveSnapshot } from './snapshot.ts';
import type { Dump, StorageStatus } from './storage.ts';

// What an operator does with the directory of an embedded store, beside the server that uses it.

/** Where a restored store goes on: so many writes may have been made since the snapshot. */
export const DEFAULT_BUMP = 1_000_000;

/** The state of a store, which may be in use, as a snapshot in a new file. */
export async function saveDirectory(dataDir: string, file: string): Promise<SnapshotInfo> {
  const tables = await openBeside(dataDir);
  try {
    return await saveSnapshot(async () => dumpTables(tables), file);
  } finally {
    await tables.root.close();
  }
}

/**
 * Makes a store of a snapshot. Objects keep their revisions; the store's own goes on `bump` later, and everything before
 * counts as compacted: a client that saw what was written after the snapshot is sent back to a new list.
 */
export async function restoreSnapshot(
  file: string,
  dataDir: string,
  bump = DEFAULT_BUMP,
): Promise<SnapshotInfo> {
  const { revision, items, info, close } = await readSnapshot(file);
  try {
    await fillDirectory(dataDir, items, revision + bump);
  } finally {
    await close();
  }
  return info();
}

/** Makes a store of a dump, which goes on at the dump's revision. */
export function fillStore(dataDir: string, { items, revision }: Dump): Promise<void> {
  return fillDirectory(dataDir, items, revision);
}

/** What a store is like, and whether a process is using it. */
export async function directoryStatus(
  dataDir: string,
): Promise<StorageStatus & { keys: number; inUse: boolean }> {
  const inUse = existsSync(dataDir) && (await isOwned(dataDir));
  const tables = await openBeside(dataDir);
  try {
    const { revision, compacted, size, sizeInUse } = tables;
    return { revision, compacted, size, sizeInUse, keys: tables.heads.getKeysCount({}), inUse };
  } finally {
    await tables.root.close();
  }
}

/** Rewrites a data file that nobody uses without its unused pages. Answers the sizes before and after. */
export async function defragment(dataDir: string): Promise<{ before: number; after: number }> {
  mustExist(dataDir);
  const file = join(dataDir, DATA_FILE);
  const before = statSync(file).size;
  const copy = join(dataDir, 'defragmented');
  const { tables, ownership } = await openTables(dataDir);
  try {
    rmSync(copy, { recursive: true, force: true });
    mkdirSync(copy, { mode: 0o700 });
    await tables.root.backup(copy, true);
    await tables.root.close();
    checkFiles(copy);
    renameSync(join(copy, DATA_FILE), file);
    // It tells of transactions of the old file.
    rmSync(join(dataDir, 'lock.mdb'), { force: true });
    syncDirectory(dataDir);
  } finally {
    ownership.release();
    rmSync(copy, { recursive: true, force: true });
  }
  return { before, after: statSync(file).size };
}

/** For reading, whoever writes. Files that are being written to cannot be checked. */
async function openBeside(dataDir: string): Promise<Tables> {
  mustExist(dataDir);
  if (!(await isOwned(dataDir))) checkFiles(dataDir);
  return new Tables(dataDir);
}

export function mustExist(dataDir: string): void {
  if (!existsSync(join(dataDir, DATA_FILE))) throw new Error(`There is no store in ${dataDir}`);
}
