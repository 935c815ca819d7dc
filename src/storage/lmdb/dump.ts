import { linkSync, mkdirSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Dump, DumpItem } from '../storage.ts';
import { DATA_FILE, syncDirectory, writeFormat } from './files.ts';
import { encodeHead, encodeJson, encodeLog } from './records.ts';
import { TableView } from './table-view.ts';
import { Tables } from './tables.ts';

// So many keys are read or written before the event loop gets its turn.
const STEP = 200;

/** The newest state of every key, from one snapshot of the data file. The writer goes on meanwhile. */
export function dumpTables(tables: Tables): Dump {
  const { revision } = tables;
  // From the same snapshot: nothing is committed within one turn of the event loop that it sees.
  const view = new TableView(tables, revision);
  async function* items(): AsyncGenerator<DumpItem> {
    try {
      for (const heads of view.steps('')) {
        for (const { key, head } of heads) {
          const found = view.at(key, head);
          if (found) yield found;
        }
        await new Promise(setImmediate);
      }
    } finally {
      view.close();
    }
  }
  return { revision, items: items() };
}

/** Where a store is made before it is whole. Found later, it is what a process left that was killed over it. */
const PARTIAL = 'restore.partial';
// What the root of a file system of its own may hold.
const NOTHING = new Set([PARTIAL, 'lost+found']);

/**
 * Makes a store of a dump. Objects keep their revisions, the store begins at `revision`, and no history before it can be
 * read. The data file appears when it is whole; a directory that holds anything is refused. It may be a mount point.
 */
export async function fillDirectory(
  directory: string,
  items: AsyncIterable<DumpItem>,
  revision: number,
): Promise<void> {
  const made = mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (readdirSync(directory).some((name) => !NOTHING.has(name))) {
    throw new Error(`${directory} is not empty: a store is never overwritten`);
  }
  const partial = join(directory, PARTIAL);
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { mode: 0o700 });
  try {
    const tables = new Tables(partial);
    try {
      await fillTables(tables, items, revision);
    } finally {
      await tables.root.close();
    }
    // Unlike a rename, this fails when somebody has begun a store there meanwhile.
    linkSync(join(partial, DATA_FILE), join(directory, DATA_FILE));
    rmSync(partial, { recursive: true });
    syncDirectory(directory);
    writeFormat(directory);
    syncDirectory(dirname(directory));
  } catch (err) {
    rmSync(partial, { recursive: true, force: true });
    if (made !== undefined) removeEmpty(directory);
    throw err;
  }
}

/** Leaves a directory in which somebody has begun something meanwhile. */
function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw err;
  }
}

async function fillTables(
  tables: Tables,
  items: AsyncIterable<DumpItem>,
  revision: number,
): Promise<void> {
  let step: DumpItem[] = [];
  const flush = (): Promise<unknown> => {
    const now = step;
    step = [];
    return tables.root.batch(() => {
      for (const item of now) putItem(tables, item);
    });
  };
  for await (const item of items) {
    step.push(item);
    if (step.length >= STEP) await flush();
  }
  await flush();
  await tables.root.batch(() => {
    // The history before this is not in it.
    void tables.facts.put('compacted', encodeJson(revision));
    void tables.facts.put('swept', encodeJson(revision));
  });
}

function putItem(tables: Tables, { key, value, revision, expires }: DumpItem): void {
  void tables.log.put(revision, encodeLog(revision, { key, value, previous: 0, expires }));
  void tables.heads.put(key, encodeHead({ revision, removed: false }));
  if (expires > 0) {
    void tables.expiries.put([expires, revision], encodeJson({ at: expires, revision, key }));
  }
}
