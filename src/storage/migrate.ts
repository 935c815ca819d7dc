import type { EtcdStorage } from './etcd.ts';
import { dumpTables } from './lmdb/dump.ts';
import { openTables } from './lmdb/open-tables.ts';
import type { Dump } from './storage.ts';
import { fillStore, mustExist } from './store-directory.ts';

export type Engine = 'lmdb' | 'etcd';

export interface Migration {
  /** The source; the other engine is the target. */
  readonly from: Engine;
  readonly dataDir: string;
  readonly etcd: EtcdStorage;
}

/**
 * Moves all state from one engine to the other. The target must be empty; its revisions go on behind those of the source.
 * The source is left as it is. An embedded store that is in use is refused; that no API server writes to
 * etcd meanwhile is the operator's to see to.
 */
export async function migrate(migration: Migration): Promise<{ keys: number; revision: number }> {
  const { from, dataDir, etcd } = migration;
  let keys = 0;
  const counted = async function* (items: Dump['items']): Dump['items'] {
    for await (const item of items) {
      keys++;
      yield item;
    }
  };
  if (from === 'etcd') {
    const { revision, items } = await etcd.dump();
    await fillStore(dataDir, { revision, items: counted(items) });
    return { keys, revision };
  }
  mustExist(dataDir);
  const { tables, ownership } = await openTables(dataDir);
  try {
    const { revision, items } = dumpTables(tables);
    await etcd.fill({ revision, items: counted(items) });
    return { keys, revision: (await etcd.status()).revision };
  } finally {
    await tables.root.close();
    ownership.release();
  }
}
