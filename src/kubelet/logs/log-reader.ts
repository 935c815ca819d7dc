import { watch } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { errnoOf } from '../../util/errors.ts';
import { parseLogLine } from './cri-log.ts';

/** PodLogOptions, as far as one container's files go. */
export interface LogOptions {
  follow: boolean;
  timestamps: boolean;
  /** Lines from the end; absent is all. */
  tailLines?: number | undefined;
  limitBytes?: number | undefined;
  /** RFC 3339, or milliseconds since the epoch: nothing older is told. */
  since?: number | undefined;
  stream?: 'Stdout' | 'Stderr' | undefined;
}

const CHUNK = 64 * 1024;
// A log that is long is read in large pieces: each of them waits for a thread, and the next one for the connection.
const MAX_CHUNK = 1024 * 1024;
// Engines part longer lines: an unfinished one fits in front of the next piece, and need not be put together elsewhere.
const HEADROOM = 32 * 1024;
// Notifications may be lost (network file systems); upstream looks each second as well.
const RECHECK_MS = 1000;
const NEWLINE = 0x0a;
const BLANK = 0x20;
const PARTIAL = 0x50;
const LETTER_S = 0x73;
const LETTER_T = 0x74;

/**
 * The text of a container's log file. With `follow` it goes on until `ended` says that the container is over and
 * the file has been read to its end; a rotated file is followed into its successor. What it gives is overwritten once the
 * next piece is asked for: a long log would keep the garbage collector busier than anything else.
 */
export async function* readLog(
  path: string,
  options: LogOptions,
  source: { ended(): boolean },
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const formatter = new LineFormatter(options);
  const { tailLines, follow } = options;
  if (tailLines === undefined) {
    for (const older of await rotatedFiles(path)) yield* formatted(chunksOf(older), formatter);
  }
  let file = await open(path);
  let start = tailLines === undefined ? 0 : await tailStart(file, tailLines);
  try {
    for (;;) {
      // Asked before the last read: what the container wrote before its end is in the file by then.
      const wasOver = source.ended();
      start += yield* counted(formatted(chunksOfHandle(file, start), formatter), formatter);
      if (formatter.full || !follow || signal.aborted) return;
      const next = await successor(path, file);
      if (!next && wasOver) return;
      if (!next) {
        await changed(path, signal);
        continue;
      }
      // What was written between the last read and the moment at which the engine took up the new file.
      yield* formatted(chunksOfHandle(file, start), formatter);
      await file.close();
      file = next;
      start = 0;
    }
  } finally {
    await file.close();
  }
}

/** Passes everything on and answers how many bytes of the file that took. */
async function* counted(
  texts: AsyncIterable<Buffer>,
  formatter: LineFormatter,
): AsyncGenerator<Buffer, number> {
  const before = formatter.consumed;
  yield* texts;
  return formatter.consumed - before;
}

/** A piece of a file, in a buffer that may be written to in front of it as well. */
interface Chunk {
  readonly buffer: Buffer;
  readonly begin: number;
  readonly end: number;
}

/** Reads the next piece while the one before is made use of. */
async function* chunksOfHandle(file: FileHandle, start: number): AsyncGenerator<Chunk> {
  let size = CHUNK;
  const spare: Buffer[] = [];
  const read = async (position: number): Promise<Chunk> => {
    const fitting = spare.pop();
    const buffer =
      fitting?.length === HEADROOM + size ? fitting : Buffer.allocUnsafeSlow(HEADROOM + size);
    const { bytesRead } = await file.read(buffer, HEADROOM, size, position);
    return { buffer, begin: HEADROOM, end: HEADROOM + bytesRead };
  };
  const ahead = (position: number): Promise<Chunk> => {
    const piece = read(position);
    // That it failed is for whoever asks for it, perhaps much later.
    piece.catch(() => {});
    return piece;
  };
  let next = ahead(start);
  try {
    for (let at = start; ; ) {
      const chunk = await next;
      const length = chunk.end - chunk.begin;
      if (length === 0) return;
      at += length;
      if (length === size) size = Math.min(4 * size, MAX_CHUNK);
      next = ahead(at);
      yield chunk;
      spare.push(chunk.buffer);
    }
  } finally {
    // Nobody closes the file under it.
    await next.catch(() => {});
  }
}

async function* formatted(
  chunks: AsyncIterable<Chunk>,
  formatter: LineFormatter,
): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    const text = formatter.push(chunk);
    if (text.length > 0) yield text;
    if (formatter.full) return;
  }
}

async function* chunksOf(path: string): AsyncGenerator<Chunk> {
  const file = await open(path);
  const raw = file.createReadStream({ highWaterMark: MAX_CHUNK });
  const stream = path.endsWith('.gz') ? raw.pipe(createGunzip()) : raw;
  for await (const buffer of stream as AsyncIterable<Buffer>) {
    yield { buffer, begin: 0, end: buffer.length };
  }
}

/** Earlier parts of the log, oldest first. */
async function rotatedFiles(path: string): Promise<string[]> {
  const directory = dirname(path);
  const prefix = `${basename(path)}.`;
  const names = await readdir(directory).catch((err: unknown) => {
    if (errnoOf(err) === 'ENOENT') return [];
    throw err;
  });
  const rotated = names.filter((name) => name.startsWith(prefix) && !name.endsWith('.tmp'));
  return rotated.sort().map((name) => join(directory, name));
}

/** The file that bears the path now, when it is another one than `file`. */
async function successor(path: string, file: FileHandle): Promise<FileHandle | undefined> {
  try {
    const [now, own] = await Promise.all([stat(path), file.stat()]);
    return now.ino === own.ino ? undefined : await open(path);
  } catch (err) {
    if (errnoOf(err) === 'ENOENT') return undefined;
    throw err;
  }
}

/** Resolves when the directory changes, after a second at the latest. */
function changed(path: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const watcher = watch(dirname(path), () => finish());
    const timer = setTimeout(() => finish(), RECHECK_MS);
    const finish = (): void => {
      clearTimeout(timer);
      watcher.close();
      signal.removeEventListener('abort', finish);
      resolve();
    };
    watcher.on('error', finish);
    signal.addEventListener('abort', finish, { once: true });
  });
}

/** Where the last `lines` lines begin. */
async function tailStart(file: FileHandle, lines: number): Promise<number> {
  const { size } = await file.stat();
  let end = size;
  let missing = lines + 1;
  while (end > 0) {
    const begin = Math.max(0, end - CHUNK);
    const { buffer, bytesRead } = await file.read(
      Buffer.allocUnsafe(end - begin),
      0,
      end - begin,
      begin,
    );
    for (let i = bytesRead - 1; i >= 0; i--) {
      if (buffer[i] !== NEWLINE) continue;
      // The newline at the very end closes the last line; it does not begin one.
      missing--;
      if (missing === 0) return begin + i + 1;
    }
    end = begin;
  }
  return 0;
}

/** Turns log file bytes into what the reader asked for, keeping the unfinished line for the next piece. */
class LineFormatter {
  readonly #options: LogOptions;
  #rest: Buffer = Buffer.alloc(0);
  #left: number;
  #inPartial = false;
  #timeLength = 0;
  /** Nothing is left out, added or counted. */
  readonly #plain: boolean;
  /** Bytes taken in so far. */
  consumed = 0;

  constructor(options: LogOptions) {
    this.#options = options;
    this.#left = options.limitBytes ?? Infinity;
    const { timestamps, since, stream, limitBytes } = options;
    this.#plain = !timestamps && [since, stream, limitBytes].every((o) => o === undefined);
  }

  /** The byte limit is reached. */
  get full(): boolean {
    return this.#left <= 0;
  }

  push(chunk: Chunk): Buffer {
    this.consumed += chunk.end - chunk.begin;
    const data = this.#withRest(chunk);
    const parts: Buffer[] = [];
    const plain = this.#plain ? this.#compact(data) : { length: 0, read: 0 };
    let begin = plain.read;
    for (;;) {
      const end = data.indexOf(NEWLINE, begin);
      if (end < 0 || this.full) break;
      this.#line(data.subarray(begin, end), parts);
      begin = end + 1;
    }
    // The buffer is written to again before the line goes on.
    this.#rest = Buffer.from(data.subarray(begin));
    const compacted = data.subarray(0, plain.length);
    return parts.length === 0 ? compacted : Buffer.concat([compacted, ...parts]);
  }

  /** The piece with the unfinished line before it. */
  #withRest({ buffer, begin, end }: Chunk): Buffer {
    const { length } = this.#rest;
    if (length > begin) return Buffer.concat([this.#rest, buffer.subarray(begin, end)]);
    this.#rest.copy(buffer, begin - length);
    return buffer.subarray(begin - length, end);
  }

  /**
   * Every line is wanted, as it is: each one's text is moved to where the one before ended, and nothing else is made.
   * Answers what that came to, and how far it read: up to a line that is not of the usual form, which takes longer to
   * understand.
   */
  #compact(data: Buffer): { length: number; read: number } {
    let length = 0;
    let read = 0;
    for (;;) {
      const end = data.indexOf(NEWLINE, read);
      if (end < 0) break;
      const content = this.#contentOf(data, read);
      if (content < 0 || content > end) break;
      const stop = data[content - 2] === PARTIAL ? end : end + 1;
      data.copyWithin(length, content, stop);
      length += stop - content;
      read = end + 1;
    }
    return { length, read };
  }

  /** Where the text of a line begins: after `TIME stdout F `. Most times are as long as the one before. */
  #contentOf(data: Buffer, begin: number): number {
    const guess = begin + this.#timeLength;
    const blank = data[guess] === BLANK ? guess : data.indexOf(BLANK, begin);
    const usual =
      data[blank + 7] === BLANK &&
      data[blank + 9] === BLANK &&
      data[blank + 1] === LETTER_S &&
      data[blank + 2] === LETTER_T;
    if (!usual) return -1;
    this.#timeLength = blank - begin;
    return blank + 10;
  }

  #line(line: Buffer, parts: Buffer[]): void {
    // TIME STREAM TAGS CONTENT: three blanks, found without making a string of the content.
    const afterTime = line.indexOf(0x20);
    const afterStream = line.indexOf(0x20, afterTime + 1);
    const afterTags = line.indexOf(0x20, afterStream + 1);
    if (afterTime < 0 || afterStream < 0 || afterTags < 0) return;
    const header = parseLogLine(line.toString('latin1', 0, afterTags + 1));
    if (!header || !this.#wanted(header)) return;
    const continues = this.#inPartial;
    this.#inPartial = header.partial;
    if (this.#options.timestamps && !continues) this.#emit(Buffer.from(`${header.time} `), parts);
    this.#emit(line.subarray(afterTags + 1), parts);
    if (!header.partial) this.#emit(NEWLINE_BYTES, parts);
  }

  #wanted({ time, stream }: { time: string; stream: string }): boolean {
    const { since, stream: only } = this.#options;
    if (only && only.toLowerCase() !== stream) return false;
    return since === undefined || Date.parse(time) >= since;
  }

  #emit(bytes: Buffer, parts: Buffer[]): void {
    if (this.#left <= 0) return;
    const part = bytes.length > this.#left ? bytes.subarray(0, this.#left) : bytes;
    this.#left -= part.length;
    parts.push(part);
  }
}

const NEWLINE_BYTES = Buffer.from('\n');
