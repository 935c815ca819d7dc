import { type Database, open, type RootDatabase } from 'lmdb';
import {
  decodeHead,
  decodeJson,
  decodeLog,
  type Expiry,
  encodeJson,
  type Head,
  type LogRecord,
} from './records.ts';

// Address space, not memory: the file grows with its content.
const MAP_SIZE = 64 * 2 ** 30;

/** What the store notes about itself. */
export interface Facts {
  /** History up to here is gone. */
  readonly compacted: number;
  /** Where the last compaction got to. */
  readonly swept: number;
  /** Which process writes here: the name of its socket. */
  readonly owner: string;
}

/** lmdb takes the options of its synchronous put here too; its types do not say so. */
interface Appendable {
  put(revision: number, record: Buffer, options: { append: true }): Promise<boolean>;
}

/** The four tables of the data file. Reads within one synchronous stretch see one snapshot. */
export class Tables {
  readonly directory: string;
  readonly root: RootDatabase<Buffer, string>;
  /** revision → LogRecord */
  readonly log: Database<Buffer, number> & Appendable;
  /** key → Head */
  readonly heads: Database<Buffer, string>;
  /** [time to vanish, revision] → Expiry */
  readonly expiries: Database<Buffer, [number, number]>;
  /** Facts about the store itself, each by its name. */
  readonly facts: Database<Buffer, string>;

  constructor(path: string) {
    this.directory = path;
    this.root = open({
      path,
      // Otherwise lmdb acknowledges a commit before it is on the disk.
      overlappingSync: false,
      // Batches are made here; lmdb's own would leave a promise that nobody handles when a commit fails.
      eventTurnBatching: false,
      encoding: 'binary',
      mapSize: MAP_SIZE,
      maxDbs: 8,
      noSubdir: false,
    });
    this.log = this.root.openDB<Buffer, number>({
      name: 'log',
      encoding: 'binary',
    }) as Tables['log'];
    this.heads = this.root.openDB({ name: 'heads', encoding: 'binary' });
    this.expiries = this.root.openDB({ name: 'expiries', encoding: 'binary' });
    this.facts = this.root.openDB({ name: 'facts', encoding: 'binary' });
  }

  head(key: string): Head | undefined {
    const buffer = this.heads.get(key);
    return buffer && decodeHead(buffer);
  }

  record(revision: number): LogRecord | undefined {
    const buffer = this.log.get(revision);
    return buffer && decodeLog(buffer);
  }

  fact<Name extends keyof Facts>(name: Name): Facts[Name] | undefined {
    const buffer = this.facts.get(name);
    return buffer && decodeJson<Facts[Name]>(buffer);
  }

  putFactSync<Name extends keyof Facts>(name: Name, value: Facts[Name]): void {
    this.facts.putSync(name, encodeJson(value));
  }

  /** Keys that vanish, soonest first, from those that are due at `until`. */
  *expiriesUntil(until: number): Iterable<Expiry> {
    for (const { value } of this.expiries.getRange({ end: [until + 1, 0] })) {
      yield decodeJson<Expiry>(value);
    }
  }

  get nextExpiry(): number | undefined {
    for (const [at] of this.expiries.getKeys({ limit: 1 })) return at;
    return undefined;
  }

  get compacted(): number {
    return this.fact('compacted') ?? 0;
  }

  /** The revision of the last committed write. Compaction may have removed its record. */
  get revision(): number {
    for (const last of this.log.getKeys({ reverse: true, limit: 1 })) {
      return Math.max(last, this.compacted);
    }
    return this.compacted;
  }

  /** Bytes of the data file, and of these what holds something. */
  get size(): number {
    const { lastPageNumber = 0, pageSize = 4096 } = this.root.getStats() as Record<string, number>;
    return (lastPageNumber + 1) * pageSize;
  }

  /** Bytes of the pages that hold something; the rest of the file is reused by later writes. */
  get sizeInUse(): number {
    let pages = 2;
    for (const table of [this.root, this.log, this.heads, this.expiries, this.facts]) {
      const stats = table.getStats() as Record<string, number>;
      const { treeBranchPageCount: branch = 0, treeLeafPageCount: leaf = 0 } = stats;
      pages += branch + leaf + (stats.overflowPages ?? 0);
    }
    const { pageSize = 4096 } = this.root.getStats() as Record<string, number>;
    return pages * pageSize;
  }
}
