import { type Database, open, type RootDatabase } from 'lmdb';
import { decodeHead, decodeLog, type Head, type LogRecord } from './records.ts';

// Address space, not memory: the file grows with its content.
const MAP_SIZE = 64 * 2 ** 30;

/** The four tables of the data file. Reads within one synchronous stretch see one snapshot. */
export class Tables {
  readonly root: RootDatabase<Buffer, string>;
  /** revision → LogRecord */
  readonly log: Database<Buffer, number>;
  /** key → Head */
  readonly heads: Database<Buffer, string>;
  /** [time to vanish, revision] → key */
  readonly expiries: Database<string, [number, number]>;
  /** Facts about the store itself: `compacted`. */
  readonly facts: Database<number, string>;

  constructor(path: string) {
    this.root = open({
      path,
      // Otherwise lmdb acknowledges a commit before it is on the disk.
      overlappingSync: false,
      encoding: 'binary',
      mapSize: MAP_SIZE,
      maxDbs: 8,
      noSubdir: false,
    });
    this.log = this.root.openDB({ name: 'log', encoding: 'binary' });
    this.heads = this.root.openDB({ name: 'heads', encoding: 'binary' });
    this.expiries = this.root.openDB({ name: 'expiries', encoding: 'string' });
    this.facts = this.root.openDB({ name: 'facts', encoding: 'msgpack' });
  }

  head(key: string): Head | undefined {
    const buffer = this.heads.get(key);
    return buffer && decodeHead(buffer);
  }

  record(revision: number): LogRecord | undefined {
    const buffer = this.log.get(revision);
    return buffer && decodeLog(buffer);
  }

  get compacted(): number {
    return this.facts.get('compacted') ?? 0;
  }

  /** The revision of the last committed write. Compaction may have removed its record. */
  get revision(): number {
    for (const last of this.log.getKeys({ reverse: true, limit: 1 })) {
      return Math.max(last, this.compacted);
    }
    return this.compacted;
  }
}
