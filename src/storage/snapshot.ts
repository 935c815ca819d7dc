import { createHash, type Hash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { decodeHead, encodeHead, encodeLog } from './lmdb/records.ts';
import { Tables } from './lmdb/tables.ts';

/** What a snapshot file holds. */
export interface SnapshotInfo {
  readonly revision: number;
  readonly keys: number;
  /** Bytes of all values. */
  readonly size: number;
  readonly sha256: string;
}

interface Item {
  readonly key: string;
  readonly revision: number;
  /** Milliseconds since the epoch when the key vanishes. */
  readonly expires?: number;
  readonly value: Buffer;
}

const FORMAT = 'k8ts-snapshot/v1';
const NEWLINE = Buffer.from('\n');

/**
 * Writes the newest state of an embedded store, which may be in use, to a new file: a line that says what follows,
 * per key a line and its value, and a checksum of it all. The file appears when it is whole and on the disk.
 */
export function saveSnapshot(dataDir: string, file: string): SnapshotInfo {
  if (!existsSync(dataDir)) throw new Error(`There is no store in ${dataDir}`);
  if (existsSync(file)) throw new Error(`${file} exists already`);
  const tables = new Tables(dataDir);
  const partial = `${file}.partial`;
  const fd = openSync(partial, 'w', 0o600);
  try {
    const info = writeItems(fd, tables);
    fsyncSync(fd);
    renameSync(partial, file);
    return info;
  } catch (err) {
    rmSync(partial, { force: true });
    throw err;
  } finally {
    closeSync(fd);
    void tables.root.close();
  }
}

/** Reads and checks a whole snapshot. */
export function snapshotStatus(file: string): SnapshotInfo {
  return readSnapshot(file).info;
}

/** Makes a store of a snapshot. Objects keep their resourceVersions. Refuses a directory that holds anything. */
export async function restoreSnapshot(file: string, dataDir: string): Promise<SnapshotInfo> {
  if (existsSync(dataDir) && readdirSync(dataDir).length > 0) {
    throw new Error(`${dataDir} is not empty: a restore never overwrites a store`);
  }
  const { info, items } = readSnapshot(file);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const tables = new Tables(dataDir);
  try {
    await tables.root.transaction(() => {
      for (const item of items) writeItem(tables, item);
      // The history before the snapshot is not in it.
      tables.facts.putSync('compacted', info.revision);
      tables.facts.putSync('swept', info.revision);
    });
  } finally {
    await tables.root.close();
  }
  return info;
}

// Synchronous, so that all of it is one consistent read of the store.
function writeItems(fd: number, tables: Tables): SnapshotInfo {
  const hash = createHash('sha256');
  const { revision } = tables;
  const expiries = new Map<number, number>();
  for (const [at, own] of tables.expiries.getKeys({})) expiries.set(own, at);
  put(fd, hash, line({ format: FORMAT, revision }));
  let keys = 0;
  let size = 0;
  for (const { key, value: head } of tables.heads.getRange({})) {
    const { revision: own, removed } = decodeHead(head);
    const value = removed ? undefined : tables.record(own)?.value;
    if (!value) continue;
    const expires = expiries.get(own);
    put(fd, hash, line({ key, revision: own, expires, bytes: value.length }));
    put(fd, hash, value);
    put(fd, hash, NEWLINE);
    keys++;
    size += value.length;
  }
  put(fd, hash, line({ keys, size }));
  const sha256 = hash.digest('hex');
  writeSync(fd, line({ sha256 }));
  return { revision, keys, size, sha256 };
}

function put(fd: number, hash: Hash, bytes: Buffer): void {
  hash.update(bytes);
  writeSync(fd, bytes);
}

function line(fields: object): Buffer {
  return Buffer.from(`${JSON.stringify(fields)}\n`);
}

function writeItem(tables: Tables, { key, revision, expires, value }: Item): void {
  tables.log.putSync(revision, encodeLog({ key, value, previous: 0 }));
  tables.heads.putSync(key, encodeHead({ revision, removed: false }));
  if (expires !== undefined) tables.expiries.putSync([expires, revision], key);
}

type Line = Partial<{
  format: string;
  revision: number;
  key: string;
  expires: number;
  bytes: number;
  keys: number;
  size: number;
  sha256: string;
}>;

function readSnapshot(file: string): { info: SnapshotInfo; items: Item[] } {
  const content = readFileSync(file);
  const reader = new LineReader(content, file);
  const head = reader.next();
  if (head.format !== FORMAT || head.revision === undefined) {
    throw new Error(`${file} is no snapshot of k8ts`);
  }
  const items: Item[] = [];
  for (;;) {
    const at = reader.next();
    if (at.key === undefined || at.revision === undefined || at.bytes === undefined) {
      const { keys = -1, size = -1 } = at;
      const sha256 = createHash('sha256')
        .update(content.subarray(0, reader.position))
        .digest('hex');
      if (keys !== items.length || reader.next().sha256 !== sha256) {
        throw new Error(`${file} is damaged: its checksum is wrong`);
      }
      return { info: { revision: head.revision, keys, size, sha256 }, items };
    }
    const { key, revision, expires } = at;
    const value = reader.bytes(at.bytes);
    items.push({ key, revision, value, ...(expires === undefined ? {} : { expires }) });
  }
}

class LineReader {
  position = 0;
  readonly #content: Buffer;
  readonly #file: string;

  constructor(content: Buffer, file: string) {
    this.#content = content;
    this.#file = file;
  }

  next(): Line {
    const end = this.#content.indexOf(0x0a, this.position);
    if (end < 0) throw this.#cut();
    const text = this.#content.toString('utf8', this.position, end);
    this.position = end + 1;
    try {
      return JSON.parse(text) as Line;
    } catch (err) {
      throw new Error(`${this.#file} is damaged`, { cause: err });
    }
  }

  /** That many bytes and the newline behind them. */
  bytes(length: number): Buffer {
    const end = this.position + length;
    if (end >= this.#content.length) throw this.#cut();
    const value = this.#content.subarray(this.position, end);
    this.position = end + 1;
    return value;
  }

  #cut(): Error {
    return new Error(`${this.#file} is damaged: it ends too early`);
  }
}
