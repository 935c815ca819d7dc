import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DATA_FILE, FORMAT, FORMAT_FILE, writeFormat } from './files.ts';
import { checkUnowned, type Ownership, takeOwnership } from './owner.ts';
import { checkDataFile, DamagedFileError } from './page-check.ts';
import { decodeHead, isSound } from './records.ts';
import { Tables } from './tables.ts';

/** Opens or makes a store, for this process alone. Fails, saying what is wrong, rather than take damage for data. */
export async function openTables(
  directory: string,
): Promise<{ tables: Tables; ownership: Ownership }> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  await checkUnowned(directory);
  checkFiles(directory);
  const tables = new Tables(directory);
  try {
    checkHeads(directory, tables);
    const ownership = await takeOwnership(directory, tables);
    writeFormat(directory);
    return { tables, ownership };
  } catch (err) {
    await tables.root.close();
    throw err;
  }
}

/** Looks at the files of a store that nobody writes to. */
export function checkFiles(directory: string): void {
  const file = join(directory, DATA_FILE);
  const formatFile = join(directory, FORMAT_FILE);
  const hasData = existsSync(file) && statSync(file).size > 0;
  if (existsSync(formatFile)) {
    const format = readFileSync(formatFile, 'utf8');
    if (format !== FORMAT) {
      throw new Error(
        `The store in ${directory} has the format ${format.trim()}, this version reads ${FORMAT.trim()}`,
      );
    }
    // Written behind the first commit: a store without data was a store with data.
    if (!hasData) {
      throw new DamagedFileError(
        `${file} is ${existsSync(file) ? 'empty' : 'gone'}: restore a snapshot, or remove ${directory} to start anew`,
      );
    }
  }
  if (!hasData) return;
  checkDataFile(file, (table, value) => {
    if (!isSound(table, value)) {
      throw new DamagedFileError(
        `${file} is damaged: the checksum of an entry of '${table}' is wrong`,
      );
    }
  });
}

/** Every key's newest record is there and is that key's. */
function checkHeads(directory: string, tables: Tables): void {
  for (const { key, value } of tables.heads.getRange({})) {
    const { revision, removed } = decodeHead(value);
    const record = tables.record(revision);
    if (record?.key === key && (record.value === undefined) === removed) continue;
    const file = join(directory, DATA_FILE);
    throw new DamagedFileError(`${file} is damaged: revision ${revision} of ${key} is not there`);
  }
}
