import { createHash, type Hash } from 'node:crypto';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from './lmdb/files.ts';
import type { Dump, DumpItem } from './storage.ts';

/** What a snapshot file holds. */
export interface SnapshotInfo {
  readonly revision: number;
  readonly keys: number;
  /** Bytes of all values. */
  readonly size: number;
  readonly sha256: string;
}

const FORMAT = 'k8ts-snapshot/v1';
const CHUNK = 1 << 20;
// Far above what an API server takes; a damaged length must not ask for all memory.
const LONGEST_VALUE = 1 << 28;
const NEWLINE = Buffer.from('\n');

/**
 * Writes a dump to a new file: a line that says what follows, per key a line and its value, a line with the sums, and a
 * checksum of it all. The file appears when it is whole and on the disk.
 */
export async function saveSnapshot(take: () => Promise<Dump>, file: string): Promise<SnapshotInfo> {
  if (existsSync(file)) throw new Error(`${file} exists already: a snapshot is never overwritten`);
  const partial = `${file}.partial`;
  const handle = await open(partial, 'w', 0o600);
  try {
    const info = await writeDump(await take(), new ChunkWriter(handle));
    await handle.sync();
    renameSync(partial, file);
    syncDirectory(dirname(file));
    return info;
  } catch (err) {
    rmSync(partial, { force: true });
    throw err;
  } finally {
    await handle.close();
  }
}

/** Reads and checks a whole snapshot. */
export async function snapshotStatus(file: string): Promise<SnapshotInfo> {
  const { info, items } = await readSnapshot(file);
  for await (const _ of items) void _;
  return info();
}

export interface SnapshotReader {
  readonly revision: number;
  /** Fails at its end when the file is not what was written. */
  readonly items: AsyncIterable<DumpItem>;
  /** Known when `items` has ended. */
  info(): SnapshotInfo;
  /** For those who do not read the items to their end. */
  close(): Promise<void>;
}

/** Reads a snapshot piece by piece. */
export async function readSnapshot(file: string): Promise<SnapshotReader> {
  const reader = new ChunkReader(await open(file, 'r'), file);
  const head = await reader.line().catch(async (err: unknown) => {
    await reader.close();
    throw err;
  });
  const { format, revision } = head;
  if (format !== FORMAT || revision === undefined) {
    await reader.close();
    throw new Error(`${file} is no snapshot of k8ts`);
  }
  let known: SnapshotInfo | undefined;
  async function* items(): AsyncGenerator<DumpItem> {
    try {
      let keys = 0;
      for (;;) {
        const line = await reader.line();
        if (line.key === undefined) {
          const sums = await checkSums(reader, line, keys, file);
          known = { revision: revision ?? 0, ...sums };
          return;
        }
        const { key, revision: own = 0, expires = 0, bytes = 0 } = line;
        yield { key, revision: own, expires, value: await reader.bytes(bytes) };
        keys++;
      }
    } finally {
      await reader.close();
    }
  }
  const info = (): SnapshotInfo => {
    if (!known) throw new Error(`${file} has not been read to its end`);
    return known;
  };
  return { revision, items: items(), info, close: () => reader.close() };
}

async function checkSums(
  reader: ChunkReader,
  { keys = -1, size = -1 }: Line,
  found: number,
  file: string,
): Promise<Omit<SnapshotInfo, 'revision'>> {
  const sha256 = reader.digest();
  const last = await reader.line();
  if (keys !== found || last.sha256 !== sha256) {
    throw new Error(`${file} is damaged: its checksum is wrong`);
  }
  return { keys, size, sha256 };
}

async function writeDump({ revision, items }: Dump, out: ChunkWriter): Promise<SnapshotInfo> {
  await out.put(line({ format: FORMAT, revision }));
  let keys = 0;
  let size = 0;
  for await (const { key, revision: own, expires, value } of items) {
    await out.put(
      line({ key, revision: own, ...(expires > 0 ? { expires } : {}), bytes: value.length }),
    );
    await out.put(value);
    await out.put(NEWLINE);
    keys++;
    size += value.length;
  }
  await out.put(line({ keys, size }));
  const sha256 = out.digest();
  await out.put(line({ sha256 }));
  await out.flush();
  return { revision, keys, size, sha256 };
}

function line(fields: Line): Buffer {
  return Buffer.from(`${JSON.stringify(fields)}\n`);
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

/** Gathers small pieces to large writes, and sums them up. */
class ChunkWriter {
  readonly #handle: FileHandle;
  readonly #hash: Hash = createHash('sha256');
  #pieces: Buffer[] = [];
  #length = 0;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async put(bytes: Buffer): Promise<void> {
    this.#pieces.push(bytes);
    this.#length += bytes.length;
    if (this.#length >= CHUNK) await this.flush();
  }

  async flush(): Promise<void> {
    const chunk = this.#take();
    if (chunk.length > 0) await this.#handle.appendFile(chunk);
  }

  /** Of everything that was put so far. */
  digest(): string {
    const rest = Buffer.concat(this.#pieces);
    return this.#hash.copy().update(rest).digest('hex');
  }

  #take(): Buffer {
    const chunk = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#length = 0;
    this.#hash.update(chunk);
    return chunk;
  }
}

class ChunkReader {
  readonly #handle: FileHandle;
  readonly #file: string;
  readonly #hash: Hash = createHash('sha256');
  #buffer: Buffer = Buffer.alloc(0);

  constructor(handle: FileHandle, file: string) {
    this.#handle = handle;
    this.#file = file;
  }

  async line(): Promise<Line> {
    let end = this.#buffer.indexOf(0x0a);
    while (end < 0) {
      const from = this.#buffer.length;
      await this.#more(1);
      end = this.#buffer.indexOf(0x0a, from);
    }
    const text = this.#take(end + 1).toString();
    try {
      return JSON.parse(text) as Line;
    } catch (err) {
      throw new Error(`${this.#file} is damaged`, { cause: err });
    }
  }

  /** That many bytes; the newline behind them is left out. */
  async bytes(length: number): Promise<Buffer> {
    if (length > LONGEST_VALUE) throw new Error(`${this.#file} is damaged`);
    if (this.#buffer.length < length + 1) await this.#more(length + 1 - this.#buffer.length);
    return Buffer.from(this.#take(length + 1).subarray(0, length));
  }

  /** Of everything that was taken so far. */
  digest(): string {
    return this.#hash.copy().digest('hex');
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  #take(length: number): Buffer {
    const taken = this.#buffer.subarray(0, length);
    this.#buffer = this.#buffer.subarray(length);
    this.#hash.update(taken);
    return taken;
  }

  /** Reads on by at least `least` bytes. */
  async #more(least: number): Promise<void> {
    const buffer = Buffer.allocUnsafe(Math.max(least, CHUNK));
    let filled = 0;
    while (filled < least) {
      const { bytesRead } = await this.#handle.read(buffer, filled, buffer.length - filled);
      if (bytesRead === 0) throw new Error(`${this.#file} is damaged: it ends too early`);
      filled += bytesRead;
    }
    this.#buffer = Buffer.concat([this.#buffer, buffer.subarray(0, filled)]);
  }
}
